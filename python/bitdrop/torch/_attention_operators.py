# SPDX-License-Identifier: Apache-2.0
"""bitdrop::attention and ::attention_backward, their derivatives, and attention by formulas."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from . import _attention_calls as calls
from ._attention_calls import Options
from ._attention_checks import refusal
from ._checks import seed_of
from ._operators import apply_seed, library, register

_TAGS = (
    torch.Tag.pt2_compliant_tag,
    # The strides of the results depend on those of the inputs.
    getattr(torch.Tag, "needs_exact_strides", torch.Tag.needs_fixed_stride_order),
)
_OPTIONS = "Tensor? seed, float p, bool is_causal, float? scale"
library.define(
    f"attention(Tensor q, Tensor k, Tensor v, Tensor? mask, {_OPTIONS}) -> (Tensor out, Tensor lse)", tags=_TAGS
)
library.define(
    "attention_backward(Tensor dout, Tensor q, Tensor k, Tensor v, Tensor? mask, Tensor out, Tensor lse, "
    f"{_OPTIONS}) -> (Tensor dq, Tensor dk, Tensor dv)",
    tags=_TAGS,
)


def _check(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, options: tuple[Any, ...]) -> Options:
    seed, p, is_causal, scale = options
    with torch.no_grad():  # setup_context refuses a mask that requires grad
        refused = refusal(q, k, v, mask, p, is_causal, scale, True)
    if refused is None and {x.dim() for x in (q, k, v, q if mask is None else mask)} != {4}:
        refused = RuntimeError, "q, k, v and mask must have four dimensions: batch, heads, rows, elements"
    if refused is None and not q.shape[0] == k.shape[0] == v.shape[0]:
        refused = RuntimeError, "q, k and v must have the same batch"
    if refused is None and seed is None and p > 0:
        refused = TypeError, "a seed is needed where p is not 0"
    if refused is not None:
        raise refused[0](f"bitdrop: {refused[1]}")
    return Options(0 if seed is None else seed_of(seed), p, is_causal, scale)


def _attention_cpu(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *options: Any) -> tuple[Tensor, Tensor]:
    checked = _check(q, k, v, mask, options)
    lse = calls.new_lse(q)
    return calls.forward(q, k, v, mask, checked, lse), lse


def _attention_backward_cpu(
    dout: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, out: Tensor, lse: Tensor, *options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    checked = _check(q, k, v, mask, options)
    for x, name, wanted in ((dout, "dout", q), (out, "out", q), (lse, "lse", calls.new_lse(q))):
        shape = wanted.shape if x is lse else (*q.shape[:3], v.shape[3])
        if x.shape != shape or x.dtype is not wanted.dtype:
            raise TypeError(f"bitdrop: {name} must be {wanted.dtype} of shape {tuple(shape)}")
    return calls.backward(dout, q, k, v, mask, out, lse.contiguous(), checked)


def _attention_fake(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *options: Any) -> tuple[Tensor, Tensor]:
    return calls.new(q, v.shape[3]), calls.new_lse(q)


def _attention_backward_fake(
    dout: Tensor, q: Tensor, k: Tensor, v: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return calls.new(q, q.shape[3]), calls.new(k, k.shape[3]), calls.new(v, v.shape[3])


# ---- Formulas: PyTorch's operators, which have derivatives of any order, on the matrix of all scores.


def by_formulas(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    seed: Tensor | None,
    p: float,
    is_causal: bool,
    scale: float | None,
) -> Tensor:
    """The result by PyTorch's operators, with the same mask as bitdrop::attention."""
    wide = torch.float64 if q.dtype is torch.float64 else torch.float32
    group = q.shape[1] // k.shape[1] if k.shape[1] else 1
    keys, values = (x.to(wide).repeat_interleave(group, 1) for x in (k, v))
    t = q.to(wide) @ keys.transpose(2, 3) * (q.shape[3] ** -0.5 if scale is None else scale)
    hidden = torch.zeros(t.shape[2:], dtype=torch.bool, device=t.device)
    if is_causal:
        hidden = ~torch.ones_like(hidden).tril()
    if mask is not None and mask.dtype is torch.bool:
        hidden = hidden | ~mask
    elif mask is not None:
        t = t + calls.rounded(mask, q.dtype)
    t = t.masked_fill(hidden, -math.inf)
    nothing = (t == -math.inf).all(3, keepdim=True)
    prob = torch.softmax(t.masked_fill(nothing, 0.0), 3).masked_fill(nothing, 0.0)
    if seed is not None:
        prob = prob * apply_seed(torch.ones(t.shape, dtype=wide, device=t.device), seed, p)
    return (prob @ values).to(q.dtype)


# ---- Derivatives.


def _check_needs(needs_grad: bool) -> None:
    if needs_grad:
        raise ValueError("bitdrop: the mask of attention requires grad and would get none: .detach() it")


class _Attention:
    """Derivatives of bitdrop::attention. The output lse is only an input of the backward pass: it has no derivative."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        _check_needs(ctx.needs_input_grad[3])
        q, k, v, mask, seed, *ctx.options = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(q, k, v, mask, *output, seed)

    @staticmethod
    def backward(ctx: Any, dout: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        return *apply_backward(dout, *ctx.saved_tensors, *ctx.options), *(None,) * 5


class _AttentionBackward:
    """Derivatives of bitdrop::attention_backward as a function of dout, q, k and v, which determine out and lse."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        _check_needs(ctx.needs_input_grad[4])
        dout, q, k, v, mask, _, _, seed, *ctx.options = inputs
        ctx.save_for_backward(dout, q, k, v, mask, seed)

    @staticmethod
    def backward(ctx: Any, *of_gradients: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, mask, seed = ctx.saved_tensors

        def gradients(dout: Tensor, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return backward_by_formulas(dout, q, k, v, mask, seed, *ctx.options)

        return *torch.func.vjp(gradients, *inputs)[1](of_gradients), *(None,) * 7


def backward_by_formulas(dout: Tensor, q: Tensor, k: Tensor, v: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v by PyTorch's operators, with derivatives of any order."""
    result: tuple[Tensor, Tensor, Tensor] = torch.func.vjp(lambda *qkv: by_formulas(*qkv, *rest), q, k, v)[1](dout)
    return result


def apply_backward(
    dout: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, out: Tensor, lse: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """attention_backward with its derivatives, which treat out and lse as functions of dout, q, k and v."""
    if forward_ad._current_level >= 0:
        return backward_by_formulas(dout, q, k, v, mask, *rest)
    result: tuple[Tensor, Tensor, Tensor] = torch.ops.bitdrop.attention_backward(
        dout, q, k, v, mask, out.detach(), lse, *rest
    )
    return result


register("attention", _attention_cpu, _attention_fake, _Attention)
register("attention_backward", _attention_backward_cpu, _attention_backward_fake, _AttentionBackward)
