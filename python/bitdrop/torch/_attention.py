# SPDX-License-Identifier: Apache-2.0
"""scaled_dot_product_attention: an autograd.Function calls the kernels in eager mode; otherwise the operators do."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import handle_torch_function, has_torch_function

from . import _attention_calls as calls
from . import _stock
from ._attention_calls import Options
from ._attention_checks import four_dimensions, refusal, scores_shape
from ._attention_operators import apply_backward, by_formulas
from ._checks import check_generator
from ._dtensor import is_dtensor
from ._eager import draw_seed, is_eager, is_grad_enabled
from ._operators import traced_seed


def why_not(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> str | None:
    """The reason why scaled_dot_product_attention refuses the call; None if it does not."""
    refused = refusal(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
    return None if refused is None else refused[1]


class _EagerAttention(torch.autograd.Function):
    """Keeps its inputs, the result, one number for each row of the result (lse), and the seed."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, options: Options) -> Tensor:
        lse = calls.new_lse(q)
        out = calls.forward(q, k, v, mask, options, lse)
        ctx.options = options
        ctx.save_for_backward(q, k, v, mask, out, lse)
        return out

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, mask, out, lse = ctx.saved_tensors
        options: Options = ctx.options
        # Grad mode is on if the backward pass itself is to be differentiated.
        if is_grad_enabled() or forward_ad._current_level >= 0 or not is_eager(dout):
            seed = torch.tensor(options.seed) if options.p > 0 else None
            _, p, is_causal, scale = options  # no slice, because Dynamo of PyTorch 2.7 cannot trace one
            gradients = apply_backward(dout, q, k, v, mask, out, lse, seed, p, is_causal, scale)
        else:
            gradients = calls.backward(dout, q, k, v, mask, out, lse, options, may_share=True)
        return *gradients, None, None


# The C++ function that _EagerAttention.apply calls if no functorch transform is active. is_eager() has checked that.
_apply = super(torch.autograd.Function, _EagerAttention).apply


def _autocast(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """Converts float32 tensors as PyTorch's autocast does for its own function."""
    dtype = torch.get_autocast_dtype("cpu")
    return tuple(x.to(dtype) if isinstance(x, Tensor) and x.dtype is torch.float32 else x for x in tensors)


def _is_plain_mask(mask: Tensor | None) -> bool:
    return mask is None or (type(mask) is Tensor and mask.is_cpu and torch._C._has_storage(mask) and not mask.is_neg())


@_stock.scripted_as(_stock.scaled_dot_product_attention)
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """torch.nn.functional.scaled_dot_product_attention with the same arguments. It works in blocks, also with dropout.

    The probabilities are never all in memory. For the backward pass, the inputs, the result and one number for each row
    of the result are kept, and the mask of the dropout is made again from its seed, as in FlashAttention (Dao et al.,
    2022). In the mask, the probability of sample b, head h, query i and key j has the index
    ((b * heads + h) * queries + i) * keys + j. All dimensions in front of the heads together are the samples.

    query is [..., heads, queries, elements], key [..., heads, keys, elements] and value [..., heads, keys, elements of
    the result], of float32, float64, float16 or bfloat16 on the CPU. A tensor of any strides is used without a copy if
    the elements of each row are contiguous. attn_mask is bool (True: the key is seen) or float (added to the scores),
    and broadcasts to [..., heads, queries, keys]. A float mask is rounded to query's dtype. dropout_p is in [0, 1].
    scale is finite and not 0; None is 1 / sqrt(elements). The dimensions of the result have the same order in memory as
    those of query. A query that sees no key gets zeros, as in PyTorch.

    The seed is drawn from generator, or from PyTorch's default generator if it is None. Without dropout no seed is
    drawn. The docstring of dropout describes generator=.

    Raises an error of PyTorch's type if PyTorch refuses the call, too. Raises TypeError for another dtype or layout,
    and ValueError if a tensor is on another device, if rows have no elements, if scale is 0 or not finite, or if
    attn_mask requires grad, because it would get no gradient.
    """
    if has_torch_function((query, key, value, attn_mask)):  # a subclass, a mode, or the proxy of torch.fx
        return handle_torch_function(
            scaled_dot_product_attention,
            (query, key, value, attn_mask),
            *(query, key, value, attn_mask, dropout_p, is_causal),
            scale=scale,
            enable_gqa=enable_gqa,
            generator=generator,
        )
    if torch.is_autocast_enabled("cpu"):
        query, key, value, attn_mask = _autocast(query, key, value, attn_mask)  # type: ignore[assignment]
    if refused := refusal(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa):
        raise refused[0](f"bitdrop: {refused[1]}")
    scores = scores_shape(query, key, value, enable_gqa)
    assert scores is not None
    q, k, v, mask = four_dimensions(query, key, value, attn_mask, scores, enable_gqa)
    p, is_causal = float(dropout_p), bool(is_causal)
    if generator is not None:
        check_generator(generator, p > 0)
    if forward_ad._current_level >= 0:
        out = by_formulas(q, k, v, mask, traced_seed(generator) if p > 0 else None, p, is_causal, scale)
    elif not (is_eager(q) and is_eager(k) and is_eager(v) and _is_plain_mask(mask)):
        if any(map(is_dtensor, (q, k, v, q if mask is None else mask))):
            raise TypeError(
                "bitdrop: the tensor is a DTensor, which attention does not support: "
                "call torch.nn.functional.scaled_dot_product_attention, or .full_tensor() first"
            )
        if _stock.recording():
            return _stock.scaled_dot_product_attention(
                query, key, value, attn_mask, p, is_causal, scale, enable_gqa, generator
            )
        seed = traced_seed(generator) if p > 0 else None
        out = torch.ops.bitdrop.attention(q, k, v, mask, seed, p, is_causal, scale)[0]
    else:
        options = Options(draw_seed(generator) if p > 0 else 0, p, is_causal, scale)
        if is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
            out = _apply(q, k, v, mask, options)
        else:
            out = calls.forward(q, k, v, mask, options, None)
    return out if len(scores) == 4 else out.reshape(*scores[:-1], value.shape[-1])
