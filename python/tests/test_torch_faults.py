# SPDX-License-Identifier: Apache-2.0
"""bitdrop.torch where PyTorch has rules of its own: graphs that are saved or freed, odd arguments, other layouts."""

import io
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import numpy as np
import torch.nn.functional as F
from interpreter import python
from seeded import MODES, OPS, same, seeded
from torch import Tensor, nn

import bitdrop.torch as bt
from bitdrop.torch._dropout import overlaps
from bitdrop.torch._dtensor import _pieces


def test_zero_tensors_without_memory() -> None:
    """Autograd makes them for gradients and tangents that are 0."""
    x, zeros = torch.ones(3000, requires_grad=True), torch._efficientzerotensor((3000,))
    for function in (bt.dropout, lambda x: bt.alpha_dropout(x, 0.5, True), lambda x: bt.dropout_add(x, x)):
        assert function(zeros).shape == (3000,)
        (grad,) = torch.autograd.grad(function(x), x, zeros)
        assert not grad.any()
    bt.enable()
    try:
        assert not F.dropout(zeros).any()
    finally:
        bt.disable()


# ---- A second backward pass.


@MODES
@pytest.mark.parametrize("n", [8, 5000])
def test_second_backward_is_refused(recompute: bool, n: int) -> None:
    """As with PyTorch's dropout: also where a seed is all that is kept, and PyTorch has nothing to free."""
    x = torch.randn(n, requires_grad=True)
    dy = torch.ones(n)
    for function in (
        lambda: bt.dropout(x, 0.5, recompute=recompute),
        lambda: OPS.dropout_recompute(x, torch.tensor(1), 0.5),
        lambda: bt.alpha_dropout(x, 0.5, True),
        lambda: bt.feature_dropout(x[:, None], 0.5)[:, 0],
        lambda: bt.dropout_add(x, x, 0.5),
        lambda: bt.activation_dropout(x, 0.5, "relu"),
    ):
        y = function()
        (first,) = torch.autograd.grad(y, x, dy, retain_graph=True)
        (second,) = torch.autograd.grad(y, x, dy)
        same(first, second)
        with pytest.raises(RuntimeError, match="second time"):
            torch.autograd.grad(y, x, dy)


# ---- p.


@pytest.mark.parametrize("p", ["0.5", None, True, 0.5j, torch.tensor(0.5), [0.5]])
def test_p_that_is_no_number(p: Any) -> None:
    x = torch.ones(2, 3, 4)
    for call in (
        lambda: bt.dropout(x, p),
        lambda: bt.dropout(x, p, training=False),
        lambda: bt.alpha_dropout(x, p, True),
        lambda: bt.feature_dropout(x, p),
        lambda: bt.dropout_add(x, x, p),
        lambda: bt.activation_dropout(x, p, "relu"),
        lambda: bt.Dropout(p),
        lambda: bt.DropPath(p),
    ):
        with pytest.raises(TypeError, match="bitdrop: p must be a number"):
            call()


def test_p_of_other_numbers() -> None:
    x = torch.randn(50)
    for p in (np.float32(0.5), np.float64(0.5)):
        same(seeded(bt.dropout, x, p), seeded(bt.dropout, x, 0.5))
    assert bt.dropout(x, 0) is x
    assert bt.dropout(x, 1).count_nonzero() == 0
    torch._dynamo.reset()
    compiled = torch.compile(bt.dropout, backend="aot_eager", fullgraph=True)
    for p in (0.25, 0.5, 1):
        same(seeded(compiled, x, p), seeded(bt.dropout, x, p))


# ---- In place on strided tensors, compiled.


def test_compiled_inplace_on_strided_tensors_of_any_batch() -> None:
    torch._dynamo.reset()

    def step(x: Tensor) -> Tensor:
        return bt.dropout((x * 1).transpose(0, 1)[::2], 0.3, True, True)

    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    for n in (8, 12, 9, 1):
        same(seeded(compiled, torch.ones(n, 6, 5)), seeded(step, torch.ones(n, 6, 5)))


def test_overlaps_is_what_places_say() -> None:
    """Every shape and stride of three dimensions, small."""
    memory = torch.arange(100)
    seen = set()
    for code in np.ndindex(4, 4, 4, 3, 3, 3):
        strides, sizes = code[:3], tuple(size + 1 for size in code[3:])
        x = memory.as_strided(sizes, strides)
        want = x.unique().numel() < x.numel()
        assert overlaps(x) == want, (sizes, strides)
        seen.add(want)
    assert seen == {False, True}


# ---- Graphs that are saved.

FUNCTIONS: list[tuple[Callable[..., Tensor], Callable[..., Tensor]]] = [
    (lambda x: bt.dropout(x, 0.25), lambda x: F.dropout(x, 0.25)),
    (lambda x: bt.alpha_dropout(x, 0.25, True), lambda x: F.alpha_dropout(x, 0.25, True)),
    (lambda x: bt.feature_alpha_dropout(x, 0.25, True), lambda x: F.feature_alpha_dropout(x, 0.25, True)),
    (lambda x: bt.feature_dropout(x, 0.25), lambda x: F.dropout1d(x, 0.25)),
    (lambda x: bt.dropout_add(x, x, 0.25, bias=x[0, 0]), lambda x: x + F.dropout(x + x[0, 0], 0.25)),
    (lambda x: bt.activation_dropout(x, 0.25, "relu"), lambda x: F.dropout(F.relu(x), 0.25)),
    (lambda x: bt.activation_dropout(x, 0.25, "silu"), lambda x: F.dropout(F.silu(x), 0.25)),
    (lambda x: bt.activation_dropout(x, 0.25, "gelu"), lambda x: F.dropout(F.gelu(x), 0.25)),
    (
        lambda x: bt.activation_dropout(x, 0.25, "gelu_tanh", bias=x[0, 0]),
        lambda x: F.dropout(F.gelu(x + x[0, 0], approximate="tanh"), 0.25),
    ),
]


@pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated
def test_jit_trace_has_pytorchs_operators(tmp_path: Path) -> None:
    x = torch.randn(2, 3, 40)
    for ours, theirs in FUNCTIONS:
        traced = torch.jit.trace(ours, (x,), check_trace=False)
        kinds = [node.kind() for node in traced.inlined_graph.nodes()]
        assert not any("bitdrop" in kind for kind in kinds)
        assert any("dropout" in kind for kind in kinds)
        same(seeded(traced, x), seeded(theirs, x))
        traced.save(str(tmp_path / "traced.pt"))
    done = python(f"import torch; print(torch.jit.load({str(tmp_path / 'traced.pt')!r})(torch.ones(2, 3, 40)).shape)")
    assert done.stdout == "torch.Size([2, 3, 40])\n", done.stderr


class Around(nn.Module):
    """A module and what a model has beside it."""

    def __init__(self, drop: nn.Module) -> None:
        super().__init__()
        self.linear, self.drop = nn.Linear(4, 4), drop

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.drop(self.linear(x))


class AroundAdd(Around):
    """The same for a module with two inputs."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.drop(self.linear(x), x)


@pytest.mark.filterwarnings("ignore")
def test_jit_script_compiles_pytorchs_operators(tmp_path: Path) -> None:
    shapes: dict[type[nn.Module], tuple[int, ...]] = {
        bt.Dropout: (2, 4),
        bt.Dropout1d: (2, 3, 4),
        bt.Dropout2d: (2, 3, 4, 4),
        bt.Dropout3d: (2, 3, 4, 4, 4),
        bt.AlphaDropout: (2, 4),
        bt.FeatureAlphaDropout: (2, 3, 4),
        bt.DropPath: (2, 4),
        bt.DropoutAdd: (2, 4),
        bt.ActivationDropout: (2, 4),
    }
    patched = Around(nn.Dropout(0.5))
    bt.patch(patched)
    models = [(AroundAdd if kind is bt.DropoutAdd else Around)(kind(0.5)) for kind in shapes]
    for model, shape in zip([*models, patched], [*shapes.values(), (2, 4)], strict=True):
        kept = model.drop
        scripted = torch.jit.script(model)
        assert model.drop is kept  # the model itself stays what it was
        x = torch.randn(shape)
        assert scripted(x).shape == x.shape
        scripted.save(str(tmp_path / "scripted.pt"))
        loaded = torch.jit.load(str(tmp_path / "scripted.pt")).eval()
        same(loaded(x), model.eval()(x))
    x = torch.randn(100, 4)
    same(seeded(torch.jit.script(models[0].train()), x), seeded(F.dropout, models[0].linear(x)))


@pytest.mark.filterwarnings("ignore")
def test_jit_script_of_functions() -> None:
    def f(x: Tensor, y: Tensor) -> Tensor:
        return bt.activation_dropout(bt.dropout(x, 0.5), 0.25, "gelu") + bt.feature_dropout(y, p=0.5)

    x = torch.randn(2, 3, 4)
    same(
        seeded(torch.jit.script(f), x, x),
        seeded(lambda: F.dropout(F.gelu(F.dropout(x, 0.5)), 0.25) + F.dropout1d(x, 0.5)),
    )


@pytest.mark.filterwarnings("ignore")
def test_saved_graphs_have_pytorchs_attention() -> None:
    q = torch.randn(2, 3, 5, 4)

    def attend(q: Tensor) -> Tensor:
        return bt.scaled_dot_product_attention(q, q, q, dropout_p=0.25, is_causal=True, scale=0.3)

    want = seeded(F.scaled_dot_product_attention, q, q, q, dropout_p=0.25, is_causal=True, scale=0.3)
    for graph in (torch.jit.trace(attend, (q,), check_trace=False), torch.jit.script(attend)):
        kinds = [node.kind() for node in graph.inlined_graph.nodes()]
        assert kinds.count("aten::scaled_dot_product_attention") == 1
        assert not any("bitdrop" in kind for kind in kinds)
        same(seeded(graph, q), want)
    bt.enable()
    try:
        traced = torch.jit.trace(lambda q: F.scaled_dot_product_attention(q, q, q, dropout_p=0.25), (q,), None, False)
    finally:
        bt.disable()
    assert "aten::scaled_dot_product_attention" in str(traced.inlined_graph)


@pytest.mark.filterwarnings("ignore")
def test_graphs_that_are_saved_cannot_have_a_generator() -> None:
    drop = bt.Dropout(generator=torch.Generator())
    with pytest.raises(NotImplementedError, match=r"bitdrop.*generator"):
        torch.jit.script(Around(drop))
    with pytest.raises(NotImplementedError, match=r"bitdrop.*generator="):
        torch.jit.trace(drop, (torch.ones(4),))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [False, True])
def test_onnx(dynamo: bool) -> None:
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("onnx")
    model = nn.Sequential(nn.Linear(4, 4), bt.Dropout(0.3), bt.ActivationDropout(0.2, "gelu"))
    for training in (True, False):
        if dynamo:
            program = torch.onnx.export(model.train(training), (torch.ones(2, 4),), dynamo=True, verbose=False)
            names = [node.op_type for node in program.model.graph]
        else:
            file = io.BytesIO()
            mode = torch.onnx.TrainingMode.TRAINING if training else torch.onnx.TrainingMode.EVAL
            torch.onnx.export(model, (torch.ones(2, 4),), file, dynamo=False, training=mode)
            names = [node.op_type for node in onnx.load_from_string(file.getvalue()).graph.node]
        assert names.count("Dropout") == 2 * training
        assert "Gelu" in names


# ---- Nested tensors.


@pytest.mark.filterwarnings("ignore")  # nested tensors are a prototype
@MODES
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested(recompute: bool, layout: torch.layout) -> None:
    """The mask goes by the places of the values of all samples together."""
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
    torch.manual_seed(7 + rank)  # the first rank's seed is the one that counts
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
one = distribute_tensor(torch.randn(1, 3), flat, [Shard(0)])  # the second rank has none of it
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

# A block of tensor parallelism: the gradients of its parameters, too, are those of one device.
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
    """Shards have the bits of one device."""
    with ThreadPoolExecutor(2) as pool:
        ranks = [pool.submit(python, RANK, 300, RANK=str(rank), STORE=str(tmp_path / "store")) for rank in range(2)]
        done = [rank.result() for rank in ranks]
    assert [rank.stdout for rank in done] == ["done\n"] * 2, done
