# SPDX-License-Identifier: Apache-2.0
"""dropout_add and activation_dropout, and their modules."""

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from fused import ACTIVATIONS, BIAS, act, add, leaf, operands
from seeded import same, seed_of_7, seeded
from torch import Tensor

import bitdrop
import bitdrop.torch as bt

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
SHAPES = [(7,), (3, 16), (4, 6, 5), (900, 131)]

# ---- Values.


@BIAS
@pytest.mark.parametrize("dtype", DTYPES)
def test_sum_is_the_c_librarys(dtype: torch.dtype, with_bias: bool) -> None:
    for shape in SHAPES:
        x, residual, bias, dy = operands(shape, with_bias, dtype)
        for p in (0.0, 0.1, 1.0):
            want = torch.empty_like(x)
            bitdrop.forward_add(x, p, residual=residual, bias=bias, seed=seed_of_7(), out=want)
            same(add(x, residual, bias, p), want)
            a, b, c = leaf(x), leaf(residual), leaf(bias)
            y = add(a, b, c, p)
            same(y.detach(), want)
            y.backward(dy)
            dx = torch.empty_like(x)
            bitdrop.recompute(dy, p, seed=seed_of_7(), out=dx)
            same(a.grad, dx)
            same(b.grad, dy)
            if c is not None:
                same(c.grad, dx.reshape(-1, shape[-1]).sum(0))


@BIAS
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_is_the_c_librarys(activation: str, dtype: torch.dtype, with_bias: bool) -> None:
    for shape in SHAPES:
        x, _, bias, dy = operands(shape, with_bias, dtype)
        for p in (0.0, 0.1, 1.0):
            want, dx = torch.empty_like(x), torch.empty_like(x)
            _, mask = bitdrop.forward_act(x, activation, p, bias=bias, seed=seed_of_7(), out=want)
            bitdrop.backward_act(dy, activation, p, mask, x=x, bias=bias, out=dx)
            same(act(x, activation, bias, p), want)
            a, c = leaf(x), leaf(bias)
            y = act(a, activation, c, p)
            same(y.detach(), want)
            y.backward(dy)
            same(a.grad, dx)
            if c is not None:
                same(c.grad, dx.reshape(-1, shape[-1]).sum(0))


@BIAS
def test_one_pass_is_several(with_bias: bool) -> None:
    """Separate operations around bitdrop.torch.dropout have the same mask, and close values and gradients."""
    x, residual, bias, dy = operands((50, 33), with_bias, torch.float64)

    def inner(a: Tensor, c: Tensor | None) -> Tensor:
        return a if c is None else a + c

    functions: list[tuple[Any, Any]] = [(add, lambda a, b, c: b + seeded(bt.dropout, inner(a, c), 0.4))]
    for name, function in ACTIVATIONS.items():
        functions.append(
            (
                lambda a, b, c, name=name: act(a, name, c) + 0 * b,
                lambda a, b, c, function=function: seeded(bt.dropout, function(inner(a, c)), 0.4) + 0 * b,
            )
        )
    for ours, theirs in functions:
        leaves = [[leaf(x), leaf(residual), leaf(bias)] for _ in range(2)]
        y, want = ours(*leaves[0]), theirs(*leaves[1])
        torch.testing.assert_close(y, want, rtol=1e-9, atol=1e-9)
        y.backward(dy)
        want.backward(dy)
        for a, b in zip(*leaves, strict=True):
            if a is not None:
                torch.testing.assert_close(a.grad, b.grad, rtol=1e-9, atol=1e-9)


@BIAS
def test_evaluation(with_bias: bool) -> None:
    x, residual, bias, dy = operands((6, 5), with_bias, torch.float64)
    z = x if bias is None else x + bias
    state = torch.get_rng_state()
    same(bt.dropout_add(x, residual, 0.4, False, bias), z + residual)
    for name, function in ACTIVATIONS.items():
        torch.testing.assert_close(bt.activation_dropout(x, 0.4, name, False, bias), function(z), rtol=1e-9, atol=1e-9)
        a, b = leaf(x), leaf(x)
        bt.activation_dropout(a, 0.4, name, False, bias).backward(dy)
        function(b if bias is None else b + bias).backward(dy)
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-9, atol=1e-9)
    a = leaf(x)
    bt.dropout_add(a, residual, 0.4, False, bias).backward(dy)
    same(a.grad, dy)
    assert torch.equal(torch.get_rng_state(), state)  # no seed was drawn


def test_dtypes_are_promoted_as_in_a_sum() -> None:
    x, residual, bias, _ = operands((6, 5), True)
    a, b, c = x.bfloat16().requires_grad_(), leaf(residual), leaf(bias)
    y = add(a, b, c)
    same(y, add(x.bfloat16().float(), residual, bias))
    y.sum().backward()
    assert (a.grad.dtype, b.grad.dtype, c.grad.dtype) == (torch.bfloat16, torch.float32, torch.float32)
    assert act(x.half(), "gelu", bias).dtype is torch.float32
    assert act(x.half(), "gelu", bias.half()).dtype is torch.float16


def test_strides() -> None:
    base, other, bias = torch.randn(4, 6, 8), torch.randn(8, 6, 4), torch.randn(2, 8)
    for x, residual, b in (
        (base.transpose(0, 2), other, bias[0, :4]),
        (base[:, ::2], base[:, 1::2], bias[1]),
        (base, other.transpose(0, 2), bias.t()[:, 0]),
        (base[:1].expand(4, -1, -1), base, None),
    ):
        y = add(x, residual, b)
        assert y.stride() == torch.empty_like(x).stride()
        same(y, add(x.contiguous(), residual.contiguous(), None if b is None else b.contiguous()))
        for activation in ACTIVATIONS:
            a, c = leaf(x.contiguous()), leaf(x)
            dy = torch.randn(tuple(reversed(x.shape))).permute(2, 1, 0)
            act(a, activation, b).backward(dy.contiguous())
            act(c, activation, b).backward(dy)
            same(a.grad, c.grad)


def test_threads_do_not_change_bytes() -> None:
    x, residual, bias, dy = operands((700, 301), True)
    before, seen = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            a, c = leaf(x), leaf(x)
            add(a, residual, bias).backward(dy)
            y = act(c, "gelu", bias)
            y.backward(dy)
            seen.append((a.grad, c.grad, y.detach(), add(x, residual, bias)))
    finally:
        torch.set_num_threads(before)
    for other in seen[1:]:
        for a, b in zip(seen[0], other, strict=True):
            same(a, b)


# ---- What is kept for the backward pass.


@BIAS
def test_saved_bytes(with_bias: bool) -> None:
    """The sum and relu keep one bit for each element. The other activations keep x and bias too."""
    x, residual, bias, _ = operands((100, 801), with_bias)
    mask = 100 * 101 if with_bias else 100 * 801 // 8 + 1
    inputs = x.nbytes + (bias.nbytes if bias is not None else 0)

    def saved(f: Callable[[Tensor], Tensor]) -> int:
        seen: list[int] = []

        def pack(t: Tensor) -> Tensor:
            seen.append(t.untyped_storage().nbytes())
            return t

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            f(leaf(x))
        return sum(seen)

    assert saved(lambda x: add(x, residual, bias)) == mask
    assert saved(lambda x: act(x, "relu", bias)) == mask
    for activation in ("gelu", "gelu_tanh", "silu"):
        assert saved(lambda x, name=activation: act(x, name, bias)) == mask + inputs


# ---- Modules.


def test_modules() -> None:
    x, residual, bias, _ = operands((30, 20), True)
    module = bt.DropoutAdd(0.4)
    assert repr(module) == "DropoutAdd(p=0.4)"
    same(seeded(module, x, residual, bias), add(x, residual, bias))
    same(module.eval()(x, residual), x + residual)
    module = bt.ActivationDropout(0.4, "silu")
    assert repr(module) == "ActivationDropout(p=0.4, activation='silu')"
    same(seeded(module, x, bias), act(x, "silu", bias))
    torch.testing.assert_close(module.eval()(x), F.silu(x))
    with pytest.raises(ValueError, match=r"bitdrop: activation must be one of 'relu', .*, not 'tanh'"):
        bt.ActivationDropout(0.4, "tanh")


# ---- Empty tensors and wrong arguments.


def test_no_elements_and_no_dimensions() -> None:
    for shape in ((0,), (0, 3), (3, 0), (2, 0, 3)):
        x, bias = torch.ones(shape, requires_grad=True), torch.ones(shape[-1], requires_grad=True)
        y = act(add(x, x, bias), "silu", bias)
        assert y.shape == shape
        y.sum().backward()
        same(bias.grad, torch.zeros(shape[-1]))
    one = torch.tensor(1.0)
    same(add(one, one, None, 0.0), torch.tensor(2.0))
    same(act(one, "relu", None, 0.0), one)


def test_bad_input() -> None:
    x, bias = torch.ones(4, 3), torch.ones(3)
    with pytest.raises(ValueError, match=r"bitdrop: residual must have the shape of x.*expand_as"):
        bt.dropout_add(x, x[:1])
    for wrong in (torch.ones(4), torch.ones(1, 3), torch.tensor(1.0)):
        with pytest.raises(ValueError, match="bitdrop: bias must have one dimension"):
            bt.dropout_add(x, x, bias=wrong)
        with pytest.raises(ValueError, match="bitdrop: bias must have one dimension"):
            bt.activation_dropout(x, 0.5, "relu", bias=wrong)
    with pytest.raises(ValueError, match="bitdrop: bias must have one dimension"):
        bt.activation_dropout(torch.tensor(1.0), 0.5, "relu", bias=bias)
    for activation in ("tanh", ["relu"]):
        with pytest.raises(ValueError, match="bitdrop: activation must be one of"):
            bt.activation_dropout(x, 0.5, activation)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"bitdrop: residual must be a torch\.Tensor"):
        bt.dropout_add(x, 1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"bitdrop: .*\.float\(\)"):
        bt.activation_dropout(x.long(), 0.5, "relu")
    with pytest.raises(TypeError, match="to_dense"):
        bt.dropout_add(x, x.to_sparse())
    for p in (-0.1, float("nan"), 10**5000):
        with pytest.raises(ValueError, match="between 0 and 1"):
            bt.dropout_add(x, x, p)
