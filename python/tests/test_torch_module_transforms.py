# SPDX-License-Identifier: Apache-2.0
"""Compilation, export, checkpoints and vmap of the fused functions, and of all modules except Dropout."""

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from fused import ACTIVATIONS, BIAS, act, add, leaf, operands
from seeded import OPS, compiled_autograd, same, seeded
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import bitdrop.torch as bt


@BIAS
def test_opcheck(with_bias: bool) -> None:
    seed = torch.tensor(5)
    for shape in ((6, 5), (2, 3, 8)):
        x, residual, bias, dy = operands(shape, with_bias)
        x, residual, bias = leaf(x), leaf(residual), leaf(bias)
        torch.library.opcheck(OPS.dropout_add.default, (x, residual, bias, seed, 0.4))
        torch.library.opcheck(OPS.activation_dropout.default, (x.transpose(0, 1), None, seed, 0.4, "silu"))
        for activation in ACTIVATIONS:
            torch.library.opcheck(OPS.activation_dropout.default, (x, bias, seed, 0.4, activation))
        mask = OPS.activation_dropout(x.detach(), bias, seed, 0.4, "gelu")[1]
        torch.library.opcheck(OPS.activation_dropout_backward.default, (dy, mask, x, bias, 0.4, "gelu"))
        torch.library.opcheck(OPS.dropout_backward.default, (leaf(dy), mask, 0.4))


class Block(nn.Module):
    """A feed-forward block whose biases are added by the fused functions."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(12, 20, bias=False), nn.Linear(20, 12, bias=False)
        self.up_bias, self.down_bias = nn.Parameter(torch.randn(20)), nn.Parameter(torch.randn(12))
        self.act, self.add = bt.ActivationDropout(0.3, "gelu"), bt.DropoutAdd(0.3)
        self.relu = bt.ActivationDropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        """Both products, and a last activation."""
        return self.relu(self.add(self.down(self.act(self.up(x), self.up_bias)), x, self.down_bias))


def drops() -> nn.Module:
    """Modules that use _variants.py and accept a batch of any size."""
    return nn.Sequential(bt.AlphaDropout(0.3), bt.FeatureAlphaDropout(0.3), bt.DropPath(0.3), bt.Dropout1d(0.3))


MODELS = pytest.mark.parametrize(("model", "shape"), [(Block, (7, 3, 12)), (drops, (7, 9, 5))])


@MODELS
def test_compiled_autograd(model: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    torch._dynamo.reset()
    net, x = model(), torch.randn(shape, requires_grad=True)
    with compiled_autograd(torch.compile(backend="aot_eager")):
        seeded(net, x).backward(torch.ones(shape))
    plain = leaf(x)
    seeded(net, plain).backward(torch.ones(shape))
    torch.testing.assert_close(x.grad, plain.grad)


@MODELS
def test_export(model: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    batch, net, x = torch.export.Dim("batch", min=1), model(), torch.randn(shape)
    exported = torch.export.export(net, (x,), dynamic_shapes=({0: batch},)).module()
    for n in (1, 7):
        torch.testing.assert_close(seeded(exported, x[:n]), seeded(net, x[:n]))


@MODELS
def test_checkpoint_replays(model: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    net = model()
    for use_reentrant in (False, True):
        x = torch.randn(shape, requires_grad=True)
        y = seeded(checkpoint, net, x, use_reentrant=use_reentrant)
        torch.rand(10)  # changes the state of the generator between the passes
        y.sum().backward()
        plain = leaf(x)
        seeded(net, plain).sum().backward()
        same(x.grad, plain.grad)


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compile(backend: str) -> None:
    torch._dynamo.reset()
    block, x = Block(), torch.randn(7, 3, 12)
    compiled = torch.compile(block, backend=backend, fullgraph=True, dynamic=True)
    for sample in (x, x[:4], x.transpose(0, 1)):
        y = seeded(compiled, sample)
        grads = torch.autograd.grad(y.sum(), list(block.parameters()))
        assert y.stride() == block(sample).stride()
        if backend == "aot_eager":
            want = seeded(block, sample)
            torch.testing.assert_close(y, want)
            for a, b in zip(grads, torch.autograd.grad(want.sum(), list(block.parameters())), strict=True):
                torch.testing.assert_close(a, b)
        else:
            same(seeded(compiled, sample), y)
    state = torch.get_rng_state()
    torch.testing.assert_close(compiled.eval()(x), block(x))
    assert torch.equal(torch.get_rng_state(), state)


def test_batched_gradients() -> None:
    block, x, dy = Block(), torch.randn(7, 12, requires_grad=True), torch.randn(3, 7, 12)
    (batched,) = torch.autograd.grad(seeded(block, x), x, dy, is_grads_batched=True)
    for i in range(3):
        torch.testing.assert_close(batched[i], torch.autograd.grad(seeded(block, x), x, dy[i])[0])


def test_autocast() -> None:
    block, x = Block(), torch.randn(4, 3, 12)
    with torch.autocast("cpu", torch.bfloat16):
        y = block(x)
    assert y.dtype is torch.float32  # promoted from a bfloat16 product and a float32 residual
    y.sum().backward()
    assert block.up.weight.grad.dtype is torch.float32


def test_vmap() -> None:
    x, residual, bias, _ = operands((5, 8, 6), True)

    def f(x: Tensor, residual: Tensor) -> Tensor:
        return bt.activation_dropout(bt.dropout_add(x, residual, 0.4, bias=bias), 0.4, "gelu", bias=bias)

    rows = seeded(torch.func.vmap(f, randomness="same"), x, residual)
    for i in range(5):
        same(rows[i], seeded(f, x[i], residual[i]))
    one = seeded(torch.func.vmap(f, in_dims=(None, 0), randomness="same"), x[0], residual)
    same(one[2], seeded(f, x[0], residual[2]))
    with pytest.raises(RuntimeError, match="randomness"):
        torch.func.vmap(f)(x, residual)


def test_mode_sees_the_call() -> None:
    seen: list[Any] = []

    class Seen(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(func)
            return func(*args, **(kwargs or {}))

    x, residual, bias, _ = operands((4, 4), True)
    with Seen():
        y, z = add(x, residual, bias), act(x, "gelu", bias)
    assert {bt.dropout_add, bt.activation_dropout} <= set(seen)
    same(y, add(x, residual, bias))
    same(z, act(x, "gelu", bias))
