# SPDX-License-Identifier: Apache-2.0
"""bitdrop.torch under transforms of PyTorch: derivatives, vmap, compilation, tracing, checkpoints."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from interpreter import python
from seeded import MODES, OPS, compiled_autograd, same, seeded
from torch import Tensor, nn
from torch.fx import traceback
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import CheckpointPolicy, checkpoint

import bitdrop.torch as bt

# ---- Derivatives.


@pytest.mark.usefixtures("masks_of_any_size")
@MODES
def test_gradcheck(recompute: bool) -> None:
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)

    def f(x: Tensor) -> Tensor:
        return seeded(bt.dropout, x, 0.4, recompute=recompute)

    assert torch.autograd.gradcheck(f, x, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(f, x)
    seed = torch.tensor(5)
    if recompute:
        assert torch.autograd.gradcheck(lambda x: OPS.dropout_recompute(x, seed, 0.4), x)
    else:
        assert torch.autograd.gradcheck(lambda x: OPS.dropout(x, seed, 0.4)[0], x)


def test_opcheck() -> None:
    seed = torch.tensor(5)
    for x in (torch.randn(3, 7, requires_grad=True), torch.randn(8, 2, requires_grad=True).t()):
        mask = OPS.dropout(x.detach(), seed, 0.4)[1]
        torch.library.opcheck(OPS.dropout.default, (x, seed, 0.4))
        torch.library.opcheck(OPS.dropout_recompute.default, (x, seed, 0.4))
        torch.library.opcheck(OPS.dropout_backward.default, (x, mask, 0.4))


@MODES
def test_func_grad(recompute: bool) -> None:
    x = torch.randn(30)
    grad = seeded(torch.func.grad(lambda x: bt.dropout(x, 0.4, recompute=recompute).sum()), x)
    same(grad, seeded(bt.dropout, torch.ones(30), 0.4))
    twice = seeded(
        torch.func.grad(torch.func.grad(lambda s: (bt.dropout(s * x, 0.4, recompute=recompute) ** 2).sum())),
        torch.tensor(3.0),
    )
    torch.testing.assert_close(twice, 2 * (seeded(bt.dropout, x, 0.4) ** 2).sum())


@MODES
def test_vmap(recompute: bool) -> None:
    x = torch.ones(5, 64)

    def f(x: Tensor) -> Tensor:
        return bt.dropout(x, 0.5, recompute=recompute)

    same_mask = torch.func.vmap(f, randomness="same")(x)
    assert (same_mask == same_mask[0]).all()
    assert set(same_mask.unique().tolist()) == {0.0, 2.0}
    different = torch.func.vmap(f, randomness="different")(x)
    assert len({tuple(row.tolist()) for row in different}) == 5
    moved = torch.func.vmap(f, in_dims=1, out_dims=1, randomness="different")(x)
    assert moved.shape == (5, 64)
    with pytest.raises(RuntimeError, match="randomness"):
        torch.func.vmap(f)(x)
    assert torch.func.vmap(f, in_dims=1, randomness="different")(torch.ones(64, 0)).shape == (0, 64)
    per_sample = torch.func.vmap(torch.func.grad(lambda x: f(x).sum()), randomness="different")(x)
    assert len({tuple(row.tolist()) for row in per_sample}) == 5


def test_vmap_of_a_tensor_from_outside() -> None:
    """randomness= also holds for a plain tensor from outside of the mapped function."""
    x = torch.ones(64)
    rows = torch.func.vmap(lambda b: bt.dropout(x, 0.5) + b, randomness="different")(torch.zeros(5))
    assert len({tuple(row.tolist()) for row in rows}) == 5
    with pytest.raises(RuntimeError, match="randomness"):
        torch.func.vmap(lambda b: bt.dropout(x, 0.5) + b)(torch.zeros(5))


# ---- Compiling, tracing, checkpoints.


@MODES
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compile(recompute: bool, backend: str) -> None:
    torch._dynamo.reset()
    net = nn.Sequential(nn.Linear(16, 16), bt.Dropout(0.3, recompute=recompute))
    f = torch.compile(net, backend=backend, fullgraph=True)
    x = torch.ones(4, 16, requires_grad=True)
    y = seeded(f, x)
    dropped = y == 0
    assert 5 < int(dropped.sum()) < 40
    same(seeded(f, x), y)
    assert not torch.equal(f(x), y)
    (dy_seen,) = torch.autograd.grad(y, net[0].bias, torch.ones_like(y))
    torch.testing.assert_close(dy_seen, (~dropped).float().sum(0) / 0.7)
    if backend == "aot_eager":
        same(y, seeded(net, x))
    torch.testing.assert_close(seeded(f.eval(), x), net[0](x))


def test_compile_with_no_memory_budget() -> None:
    """An error is raised. PyTorch's own dropout has a wrong gradient in this case."""
    with torch._functorch.config.patch(activation_memory_budget=0):
        compiled = torch.compile(lambda x: bt.dropout(x.sin(), 0.5).sin(), backend="aot_eager")
        with pytest.raises(RuntimeError, match=r"bitdrop: .*activation_memory_budget"):
            compiled(torch.ones(3000, requires_grad=True))
        with torch.no_grad():
            assert compiled(torch.ones(3000)).count_nonzero() < 3000


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compile_with_a_memory_budget(backend: str) -> None:
    """A backward pass that recomputes activations to save memory uses the masks of the forward pass."""
    w = torch.rand(32, 32, requires_grad=True)
    x = torch.rand(32, 32, requires_grad=True)
    for recompute in (False, True):
        torch._dynamo.reset()

        def f(x: Tensor, recompute: bool = recompute) -> tuple[Tensor, Tensor]:
            a = bt.dropout(torch.relu(x @ w), 0.5, recompute=recompute)
            return a, bt.dropout(torch.relu(a @ w), 0.5, recompute=recompute)

        with torch._functorch.config.patch(activation_memory_budget=0.3):
            a, b = torch.compile(f, backend=backend, fullgraph=True)(x)
            got = torch.autograd.grad([a, b], [x, w], [a.detach(), b.detach()])
        masks = [2 * (y != 0).float() for y in (a, b)]
        assert not torch.equal(*masks)
        plain_a = torch.relu(x @ w) * masks[0]
        plain = [plain_a, torch.relu(plain_a @ w) * masks[1]]
        want = torch.autograd.grad(plain, [x, w], [a.detach(), b.detach()])
        torch.testing.assert_close(got, want)


def test_compile_of_func_with_a_memory_budget() -> None:
    """Under torch.func the seed cannot be marked. So the graph breaks, and the gradient is right."""
    x = torch.randn(5, 300, requires_grad=True)

    def f(x: Tensor) -> Tensor:
        drop = torch.func.vmap(lambda row: bt.dropout(torch.sin(bt.dropout(row.sin()))), randomness="different")
        return drop(x)

    with torch._functorch.config.patch(activation_memory_budget=0.3):
        torch._dynamo.reset()
        with pytest.raises(torch._dynamo.exc.Unsupported, match="activation_memory_budget < 1"):
            torch.compile(f, backend="aot_eager", fullgraph=True)(x)
        torch._dynamo.reset()
        y = torch.compile(f, backend="aot_eager")(x)
        (grad,) = torch.autograd.grad(y.sum(), x)
    same(grad != 0, y != 0)


@MODES
def test_compile_inplace_and_dynamic(recompute: bool) -> None:
    torch._dynamo.reset()

    def g(x: Tensor) -> Tensor:
        return bt.dropout(x * 1, 0.3, True, True, recompute=recompute)

    f = torch.compile(g, backend="aot_eager", fullgraph=True, dynamic=True)
    for n in (9, 33):
        same(seeded(f, torch.ones(n)), seeded(g, torch.ones(n)))


@MODES
def test_compile_of_a_size_that_depends_on_data(recompute: bool) -> None:
    if not recompute and torch.__version__.startswith("2.7."):
        pytest.skip("PyTorch 2.7 must know whether a mask whose size data decide has one byte")
    torch._dynamo.reset()

    def f(x: Tensor) -> Tensor:
        return bt.dropout(x[x.nonzero()[:, 0]], 0.3, recompute=recompute)

    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compiled = torch.compile(f, backend="aot_eager", fullgraph=True)
        for n in (50, 0):
            same(seeded(compiled, torch.arange(n + 1.0)), seeded(f, torch.arange(n + 1.0)))


@MODES
def test_compile_of_func(recompute: bool) -> None:
    """Transforms of torch.func do not break the graph, and have the same results as without torch.compile."""
    torch._dynamo.reset()
    x = torch.randn(5, 9)

    def f(x: Tensor) -> Tensor:
        return bt.dropout(x, 0.3, recompute=recompute)

    def loss(x: Tensor) -> Tensor:
        return (f(x) ** 2).sum()

    for function in (
        torch.func.vmap(f, randomness="different"),
        torch.func.grad(loss),
        torch.func.grad(lambda x: torch.func.grad(loss)(x).sum()),
        torch.func.vmap(torch.func.grad(loss), randomness="different"),
    ):
        same(seeded(torch.compile(function, backend="aot_eager", fullgraph=True), x), seeded(function, x))


@MODES
def test_compiled_autograd(recompute: bool) -> None:
    torch._dynamo.reset()
    x = torch.randn(100, requires_grad=True)
    y = seeded(bt.dropout, x, 0.3, recompute=recompute)
    with compiled_autograd(torch.compile(backend="aot_eager")):
        y.backward(torch.ones_like(y))
    same(x.grad, seeded(bt.dropout, torch.ones(100), 0.3))


@MODES
def test_export(recompute: bool) -> None:
    net, x = nn.Sequential(nn.Linear(16, 16), bt.Dropout(0.3, recompute=recompute)), torch.randn(4, 16)
    same(seeded(torch.export.export(net, (x,)).module(), x), seeded(net, x))
    batch = torch.export.Dim("batch", min=1)
    any_batch = torch.export.export(net, (x,), dynamic_shapes=({0: batch},)).module()
    for n in (1, 2, 100):
        same(seeded(any_batch, x[:1].expand(n, 16)), seeded(net, x[:1].expand(n, 16)))
    names = [str(node.target) for node in torch.export.export(net.eval(), (x,)).graph.nodes]
    assert not any("bitdrop" in name for name in names)


def test_subclass_and_mode_see_the_call() -> None:
    class Named(Tensor):
        pass

    class Seen(torch.overrides.TorchFunctionMode):
        calls: list[Any] = []  # noqa: RUF012

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.calls.append(func)
            return func(*args, **(kwargs or {}))

    x = torch.randn(8, 8)
    y = seeded(bt.dropout, x.as_subclass(Named), 0.3, inplace=False)
    assert type(y) is Named
    same(y.as_subclass(Tensor), seeded(bt.dropout, x, 0.3))
    with Seen():
        bt.dropout(x)
    assert bt.dropout in Seen.calls


def test_a_seed_is_marked_by_tracers_only() -> None:
    """The mark is in a global dictionary. Threads in eager mode would leave each other's marks set."""
    marks = []

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten.randint.default:
                marks.append(traceback.get_current_meta().get("recompute"))
            return func(*args, **(kwargs or {}))

    with Seen():
        bt.dropout(torch.ones(8))
    with traceback.preserve_node_meta():
        graph = make_fx(lambda x: bt.dropout(x))(torch.ones(8)).graph
    marks += [node.meta.get("recompute") for node in graph.nodes if "randint" in node.name]
    assert marks == [None, CheckpointPolicy.MUST_SAVE]


def test_traced_before_dispatch() -> None:
    """With pre_dispatch=True, the mode of make_fx is on a separate stack."""
    for n in (8, 5000):
        graph = make_fx(lambda x: bt.dropout(x), pre_dispatch=True)(torch.ones(n))
        same(seeded(graph, torch.ones(n)), seeded(bt.dropout, torch.ones(n)))


def test_import_under_a_mode() -> None:
    done = python("""
import torch
from torch._subclasses import FakeTensorMode
with FakeTensorMode():
    import bitdrop.torch
    assert bitdrop.torch.dropout(torch.ones(4, 4)).shape == (4, 4)
print(bitdrop.torch.dropout(torch.ones(2), 1.0))
""")
    assert (done.stdout, done.stderr) == ("tensor([0., 0.])\n", "")


@pytest.mark.usefixtures("masks_of_any_size")
@MODES
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoint_replays(recompute: bool, use_reentrant: bool) -> None:
    drop = bt.Dropout(0.5, recompute=recompute)

    def block(x: Tensor) -> Tensor:
        return drop(drop(x * 2) * 3)

    x = torch.randn(200, requires_grad=True)
    y = seeded(checkpoint, block, x, use_reentrant=use_reentrant)
    torch.rand(10)  # changes the state of the generator between the passes
    y.sum().backward()
    plain = x.detach().clone().requires_grad_()
    seeded(block, plain).sum().backward()
    same(x.grad, plain.grad)
    same((x.grad != 0), (y != 0))
