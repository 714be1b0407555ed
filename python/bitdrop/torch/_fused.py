# SPDX-License-Identifier: Apache-2.0
"""Dropout fused with the operations next to it in a model, in one pass over memory."""

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import handle_torch_function, has_torch_function

from . import _kernels_2d, _operators, _stock
from ._checks import check, check_activation, check_generator, check_p
from ._eager import draw_seed, is_eager, is_grad_enabled
from ._operators import call, define, keep, like_fake, traced_seed

# ---- Derivatives. The gradient of a bias is the sum over each column. Tangents use the same operators as gradients.


def _column_sums(dx: Tensor) -> Tensor:
    return dx.sum_to_size(dx.shape[-1:])


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


class _Add:
    """y = residual + D(x + bias)."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.p = inputs[4]
        keep(ctx, output[1])

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        for_x, _for_residual, for_bias, *_rest = ctx.needs_input_grad
        dx = call("dropout_backward", dy, ctx.saved_tensors[0], ctx.p) if for_x or for_bias else None
        return dx, dy, _column_sums(dx) if for_bias and dx is not None else None, None, None

    @staticmethod
    def jvp(ctx: Any, x: Tensor | None, residual: Tensor | None, bias: Tensor | None, *_: Any) -> tuple[Any, None]:
        inner = _sum(x, bias)
        assert inner is not None
        return _sum(residual, call("dropout_backward", inner, ctx.saved_tensors[0], ctx.p)), None


class _Activation:
    """y = D(act(x + bias)). For relu the mask is all that the derivative needs; the others need x and bias too."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        x, bias, _seed, *ctx.rest = inputs
        relu = ctx.rest[1] == "relu"
        keep(ctx, output[1], None if relu else x, None if relu else bias)

    @staticmethod
    def _inner(ctx: Any, dy: Tensor) -> Tensor:
        mask, x, bias = ctx.saved_tensors
        if x is None:
            return call("dropout_backward", dy, mask, ctx.rest[0])
        return call("activation_dropout_backward", dy, mask, x, bias, *ctx.rest)

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        dx = _Activation._inner(ctx, dy)
        return dx, _column_sums(dx) if ctx.needs_input_grad[1] else None, None, None, None

    @staticmethod
    def jvp(ctx: Any, x: Tensor | None, bias: Tensor | None, *_: Any) -> tuple[Tensor, None]:
        inner = _sum(x, bias)
        assert inner is not None
        return _Activation._inner(ctx, inner), None


def _second_gelu(z: Tensor) -> Tensor:
    return (2 - z * z) * torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _second_gelu_tanh(z: Tensor) -> Tensor:
    k, c = math.sqrt(2 / math.pi), 0.044715
    t = torch.tanh(k * (z + c * z**3))
    slope = k * (1 + 3 * c * z * z)
    return (1 - t * t) * (slope + 3 * k * c * z * z - z * t * slope * slope)


def _second_silu(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 - s) * (2 + z * (1 - 2 * s))


_second: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": _second_gelu,
    "gelu_tanh": _second_gelu_tanh,
    "silu": _second_silu,
}


class _ActivationBackward:
    """dx = D'(dy) * act'(x + bias). It is linear in dy. PyTorch's operators compute the derivatives in x and bias."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        keep(ctx, *inputs[:4])
        ctx.rest = inputs[4:]

    @staticmethod
    def _curved(ctx: Any, along: Tensor) -> Tensor:
        """D'(dy) * act''(x + bias) * along."""
        dy, mask, x, bias = ctx.saved_tensors
        z = x if bias is None else x + bias
        second = _second[ctx.rest[1]](z.double() if z.dtype is torch.float64 else z.float())
        return (torch.ops.bitdrop.dropout_backward(dy, mask, ctx.rest[0]) * along * second).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, ddx: Tensor) -> tuple[Tensor | None, ...]:
        _dy, mask, x, bias = ctx.saved_tensors
        for_dy, _, for_x, for_bias, *_rest = ctx.needs_input_grad
        curved = _ActivationBackward._curved(ctx, ddx) if for_x or for_bias else None
        return (
            call("activation_dropout_backward", ddx, mask, x, bias, *ctx.rest) if for_dy else None,
            None,
            curved,
            _column_sums(curved) if for_bias and curved is not None else None,
            None,
            None,
        )

    @staticmethod
    def jvp(ctx: Any, dy: Tensor | None, _mask: Any, x: Tensor | None, bias: Tensor | None, *_: Any) -> Tensor | None:
        _dy, mask, *inputs = ctx.saved_tensors
        linear = None if dy is None else call("activation_dropout_backward", dy, mask, *inputs, *ctx.rest)
        inner = _sum(x, bias)
        return _sum(linear, None if inner is None else _ActivationBackward._curved(ctx, inner))


# ---- Operators. Their masks are by rows if there is a bias, else flat.


def _masked_fake(x: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), _kernels_2d.new_mask(x, bias)


define(
    "dropout_add(Tensor x, Tensor residual, Tensor? bias, Tensor seed, float p) -> (Tensor y, Tensor mask)",
    _kernels_2d.dropout_add,
    lambda x, residual, bias, seed, p: _masked_fake(x, bias),
    _Add,
)
define(
    "activation_dropout(Tensor x, Tensor? bias, Tensor seed, float p, str activation) -> (Tensor y, Tensor mask)",
    _kernels_2d.activation_dropout,
    lambda x, bias, seed, p, activation: _masked_fake(x, bias),
    _Activation,
)
define(
    "activation_dropout_backward(Tensor dy, Tensor mask, Tensor x, Tensor? bias, float p, str activation) -> Tensor",
    _kernels_2d.activation_dropout_backward,
    like_fake,
    _ActivationBackward,
)


# ---- Functions.


def _checked(x: Tensor, bias: Tensor | None, residual: Tensor | None) -> list[Tensor]:
    """The tensors that are not None, converted to the dtype that their sum in PyTorch has. Raises an error if wrong."""
    tensors = {"x": x, "residual": residual, "bias": bias}
    for name, value in tensors.items():
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"bitdrop: {name} must be a torch.Tensor, and is {type(value).__name__}")
    if residual is not None and residual.shape != x.shape:
        raise ValueError(
            f"bitdrop: residual must have the shape of x, {tuple(x.shape)}, and has {tuple(residual.shape)}: "
            ".expand_as(x) repeats it"
        )
    if bias is not None and (x.dim() == 0 or bias.shape != x.shape[-1:]):
        raise ValueError(
            f"bitdrop: bias must have one dimension, the last of x, {tuple(x.shape)}, and has {tuple(bias.shape)}"
        )
    given = [value for value in tensors.values() if value is not None]
    dtype = reduce(torch.promote_types, (value.dtype for value in given))
    return [value if value.dtype is dtype else value.to(dtype) for value in given]


def _run(name: str, given: Sequence[Tensor | None], p: float, generator: torch.Generator | None, *rest: Any) -> Tensor:
    tensors = [value for value in given if value is not None]
    if forward_ad._current_level >= 0 or not all(map(is_eager, tensors)):
        for value in tensors:
            check(value)
        seed = traced_seed(generator) if p else torch.zeros((), dtype=torch.int64)
        return getattr(torch.ops.bitdrop, name)(*given, seed, p, *rest)[0]
    drawn = draw_seed(generator) if p else 0
    if is_grad_enabled() and any(value.requires_grad for value in tensors):
        return _operators.eager[name](*given, drawn, p, *rest)
    return _operators.kernels[name](*given, drawn, p, *rest, keep=False)[0]


def _checked_p(p: float, training: bool, generator: torch.Generator | None) -> float:
    """Checked p as a float; 0 in evaluation. Also checks generator."""
    check_p(p)
    p = float(p) if training else 0.0
    if generator is not None:
        check_generator(generator, p > 0)
    return p


@_stock.scripted_as(_stock.dropout_add)
def dropout_add(
    x: Tensor,
    residual: Tensor,
    p: float = 0.5,
    training: bool = True,
    bias: Tensor | None = None,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The sum residual + dropout(x + bias), in one pass over memory, as at the end of a transformer block.

    x and residual have the same shape. bias has the shape [last dimension of x]. Tensors of different dtypes are first
    converted to one dtype, as PyTorch's own sum does. For the backward pass, one bit for each element is kept. In
    float16 and bfloat16, the sum is rounded once, not after each step. In evaluation, the result is residual + (x +
    bias). The docstring of dropout describes p, dtypes, strides, generator and errors. Also raises ValueError for
    wrong shapes.
    """
    tensors = (x, residual) if bias is None else (x, residual, bias)
    if has_torch_function(tensors):
        return handle_torch_function(
            dropout_add, tensors, x, residual, p=p, training=training, bias=bias, generator=generator
        )
    p = _checked_p(p, training, generator)
    x, residual, *biases = _checked(x, bias, residual)
    if _stock.recording():
        return _stock.dropout_add(x, residual, p, p > 0, bias, generator)
    return _run("dropout_add", (x, residual, biases[0] if biases else None), p, generator)


@_stock.scripted_as(_stock.activation_dropout)
def activation_dropout(
    x: Tensor,
    p: float,
    activation: str,
    training: bool = True,
    bias: Tensor | None = None,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Dropout of act(x + bias), in one pass over memory, as in the middle of a feed-forward block.

    activation is "relu", "gelu", "gelu_tanh" or "silu"; docs/reference.md has their formulas and errors. bias has the
    shape [last dimension of x]. For the backward pass, "relu" keeps only one bit for each element, which serves both
    the activation and dropout. The others keep one bit for each element, x and bias. In evaluation, the result is
    act(x + bias). The docstring of dropout_add describes dtypes, and that of dropout p, strides, generator and errors.
    Also raises ValueError for wrong shapes and unknown activations.
    """
    tensors = (x,) if bias is None else (x, bias)
    if has_torch_function(tensors):
        return handle_torch_function(
            activation_dropout,
            tensors,
            x,
            p=p,
            activation=activation,
            training=training,
            bias=bias,
            generator=generator,
        )
    check_activation(activation)
    p = _checked_p(p, training, generator)
    x, *biases = _checked(x, bias, None)
    if _stock.recording():
        return _stock.activation_dropout(x, p, activation, p > 0, bias, generator)
    return _run("activation_dropout", (x, biases[0] if biases else None), p, generator, activation)
