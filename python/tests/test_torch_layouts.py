# SPDX-License-Identifier: Apache-2.0
"""bitdrop.torch on nested and jagged tensors and on the shards of a DTensor."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import numpy as np
from interpreter import python
from seeded import MODES, same, seeded
from torch import Tensor

import bitdrop.torch as bt
from bitdrop.torch._dtensor import _pieces

# ---- Nested tensors.


@pytest.mark.filterwarnings("ignore")  # nested tensors are a prototype
@MODES
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested(recompute: bool, layout: torch.layout) -> None:
    """The mask depends on the places of the values of all samples together."""
    rows = torch.randn(5000, 3)

    def nested(rows: Tensor, *sizes: int) -> Tensor:
        return torch.nested.as_nested_tensor(list(rows.split(sizes)), layout=layout)

    leaf = rows.clone().requires_grad_()
    x = nested(leaf, 1200, 3000, 800)
    y = seeded(bt.dropout, x, 0.4, recompute=recompute)
    want = seeded(bt.dropout, rows, 0.4)
    assert (y.is_nested, y.layout, y.dtype) == (True, layout, x.dtype)
    same(torch.cat([sample.detach() for sample in y.unbind()]), want)
    total = torch.nested.to_padded_tensor(x + y, 0.0)  # a jagged sum needs the same sizes, not equal ones
    total.sum().backward()
    same(leaf.grad, 1 + seeded(bt.dropout, torch.ones_like(rows), 0.4))
    base = x.detach().clone()
    assert seeded(bt.dropout, base, 0.4, inplace=True, recompute=recompute) is base
    same(torch.cat(base.unbind()), want)
    turned = seeded(bt.dropout, x.detach().transpose(1, 2), 0.4, recompute=recompute)
    assert [sample.shape for sample in turned.unbind()] == [(3, 1200), (3, 3000), (3, 800)]
    assert sum(int(sample.count_nonzero()) for sample in turned.unbind()) > 7500
    alpha = seeded(bt.alpha_dropout, x.detach(), 0.4, True)
    same(torch.cat(alpha.unbind()), seeded(bt.alpha_dropout, rows, 0.4, True))
    assert bt.dropout(x, 0.4, training=False) is x


@pytest.mark.filterwarnings("ignore")
def test_jagged_with_holes_and_compiled() -> None:
    x = torch.nested.nested_tensor_from_jagged(
        torch.randn(10, 4), torch.tensor([0, 4, 10]), lengths=torch.tensor([3, 5])
    )
    y = seeded(bt.dropout, x, 0.5)
    assert [sample.shape for sample in y.unbind()] == [(3, 4), (5, 4)]
    torch._dynamo.reset()
    dense = torch.nested.nested_tensor_from_jagged(torch.randn(10, 4), torch.tensor([0, 4, 10]))
    compiled = torch.compile(lambda x: bt.dropout(x * 2, 0.5), backend="aot_eager", fullgraph=True)
    same(seeded(compiled, dense).values(), seeded(bt.dropout, dense.values() * 2, 0.5))


# ---- DTensor.


def test_pieces_of_shards_have_the_indices_of_the_whole() -> None:
    for whole in ((5,), (3, 4), (2, 3, 4), (3, 2, 3, 2), ()):
        indices = np.arange(np.prod(whole, dtype=int)).reshape(whole)
        for ends in itertools.product(*(itertools.combinations(range(size + 1), 2) for size in whole)):
            shard = indices[tuple(itertools.starmap(slice, ends))]
            pieces = list(_pieces(whole, shard.shape, [begin for begin, _ in ends]))
            places = [o + r * pitch + c for rows, cols, pitch, o in pieces for r in range(rows) for c in range(cols)]
            assert places == shard.ravel().tolist()


RANK = """
import os, torch
import bitdrop.torch as bt
from seeded import same, seeded
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

rank, file = int(os.environ["RANK"]), os.environ["STORE"]
torch.distributed.init_process_group("gloo", init_method="file://" + file, rank=rank, world_size=2)
torch.manual_seed(1)
flat, square = init_device_mesh("cpu", (2,)), init_device_mesh("cpu", (2, 1))
whole, dy = torch.randn(5, 7, 6), torch.randn(5, 7, 6)
want, want_dx = seeded(bt.dropout, whole, 0.4), seeded(bt.dropout, dy, 0.4)

def drop(x, **more):
    torch.manual_seed(7 + rank)  # only the first rank's seed is used
    return bt.dropout(x, 0.4, **more)

for mesh, placements in (
    (flat, [Replicate()]), (flat, [Shard(0)]), (flat, [Shard(1)]), (flat, [Shard(2)]),
    (square, [Shard(0), Shard(2)]), (square, [Shard(2), Shard(1)]), (square, [Shard(1), Replicate()]),
):
    x = distribute_tensor(whole, mesh, placements).requires_grad_()
    y = drop(x)
    assert y.placements == tuple(placements) and y.shape == whole.shape and y.stride() == whole.stride()
    same(y.full_tensor().detach(), want)
    (dx,) = torch.autograd.grad(y, x, distribute_tensor(dy, mesh, placements), retain_graph=True)
    same(dx.full_tensor(), want_dx)
    y.sum().backward()
    try:
        y.sum().backward()
        raise SystemExit("a second pass was accepted")
    except RuntimeError as error:
        assert "second time" in str(error)
    turned = drop(x.detach().transpose(0, 2))
    same(turned.full_tensor(), seeded(bt.dropout, whole.transpose(0, 2), 0.4))
    z = x.detach() * 1
    assert drop(z, inplace=True) is z
    same(z.full_tensor(), want)
    for other in (
        lambda: bt.alpha_dropout(x, 0.5, True),
        lambda: bt.feature_dropout(x, 0.5),
        lambda: bt.scaled_dot_product_attention(x, x, x),
    ):
        try:
            other()
            raise SystemExit("no error")
        except TypeError as error:
            assert "bitdrop: the tensor is a DTensor" in str(error)

part = DTensor.from_local(whole / 2, flat, [Partial()])
same(drop(part).full_tensor(), want)
one = distribute_tensor(torch.randn(1, 3), flat, [Shard(0)])  # the second rank has no elements
assert drop(one).full_tensor().shape == (1, 3)
large = seeded(torch.randn, 3, 300_000)
same(drop(distribute_tensor(large, flat, [Shard(1)])).full_tensor(), seeded(bt.dropout, large, 0.4))

bt.enable()
x = distribute_tensor(whole, flat, [Shard(1)]).requires_grad_()
torch.manual_seed(7 + rank)
y = nn.functional.dropout(x, 0.4)
same(y.full_tensor().detach(), want)
(dx,) = torch.autograd.grad(y, x, distribute_tensor(dy, flat, [Shard(1)]))
same(dx.full_tensor(), want_dx)
torch.manual_seed(7 + rank)
z = x.detach() * 1
same(nn.functional.dropout(z, 0.4, inplace=True).full_tensor(), want)
same(z.full_tensor(), want)
assert nn.functional.dropout(x, 0.4, False).full_tensor().shape == whole.shape
bt.disable()

compiled = torch.compile(lambda x: bt.dropout(x * 2, 0.4) * 3, backend="eager")
sharded = distribute_tensor(whole, flat, [Shard(1)])
same(seeded(compiled, sharded).full_tensor(), seeded(bt.dropout, whole * 2, 0.4) * 3)

# A block with tensor parallelism: the gradients of its parameters are those of one device, too.
model = seeded(lambda: nn.Sequential(nn.Linear(6, 8), bt.Dropout(0.4), nn.Linear(8, 6)))
seeded(model, whole).sum().backward()
ways = ([Shard(0)], [Shard(0)], [Shard(1)], [Replicate()])
parts = [distribute_tensor(p.detach(), flat, way).requires_grad_() for p, way in zip(model.parameters(), ways)]
inner = nn.functional.linear(distribute_tensor(whole, flat, [Replicate()]), *parts[:2])
assert inner.placements == (Shard(2),)
nn.functional.linear(drop(inner), *parts[2:]).sum().backward()
for p, part in zip(model.parameters(), parts):
    torch.testing.assert_close(part.grad.full_tensor(), p.grad)
torch.distributed.destroy_process_group()
print("done")
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")
def test_dtensor(tmp_path: Path) -> None:
    """Shards have the same bits as the whole tensor on one device."""
    with ThreadPoolExecutor(2) as pool:
        ranks = [pool.submit(python, RANK, RANK=str(rank), STORE=str(tmp_path / "store")) for rank in range(2)]
        done = [rank.result() for rank in ranks]
    assert [rank.stdout for rank in done] == ["done\n"] * 2, done
