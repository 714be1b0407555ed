# SPDX-License-Identifier: Apache-2.0
"""Checks of attention: how shapes broadcast, the four dimensions that kernels need, and reasons to refuse a call."""

import math
import numbers
from typing import Any

import torch
from torch import Tensor

from ..errors import shown
from ._kernels import DTYPES

Refusal = tuple[type[Exception], str]
_STOCK = "torch.nn.functional.scaled_dot_product_attention"
_NUMBERS = (numbers.Real, torch.SymFloat, torch.SymInt)

# ---- Shapes.


def scores_shape(query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool) -> tuple[int, ...] | None:
    """[..., heads, queries, keys], or [queries, keys] if the inputs are matrices. None if the shapes do not fit."""
    batches: list[tuple[int, ...]] = [x.shape[:-2] for x in (query, key, value)]
    if enable_gqa:
        if not all(batches) or batches[1][-1] != batches[2][-1] or not batches[1][-1]:
            return None
        if batches[0][-1] % batches[1][-1]:
            return None
        batches[1:] = [(*batch[:-1], batches[0][-1]) for batch in batches[1:]]
    if batches[0] == batches[1] == batches[2]:
        batch = batches[0]
    else:
        try:
            batch = torch.broadcast_shapes(*batches)
        except RuntimeError:
            return None
    return *batch, query.shape[-2], key.shape[-2]


def four_dimensions(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scores: tuple[int, ...], enable_gqa: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Each tensor as [batch, heads, rows, elements]. Repeated samples and heads are views if PyTorch can make one."""
    batches = scores[:-3]
    heads = scores[-3] if len(scores) > 2 else 1
    samples = math.prod(batches)

    def fold(x: Tensor, heads: int) -> Tensor:
        if x.dim() == 4 and x.shape[0] == samples and x.shape[1] == heads:
            return x
        return x.expand(*batches, heads, *x.shape[-2:]).reshape(samples, heads, *x.shape[-2:])

    of_key, of_value = (x.shape[-3] if x.dim() > 2 else 1 for x in (key, value))
    group = enable_gqa or of_key == of_value  # without enable_gqa, the only group is one head for all heads of query
    q, k, v = fold(query, heads), fold(key, of_key if group else heads), fold(value, of_value if group else heads)
    if mask is None or mask.dim() == 4 == len(scores):
        return q, k, v, mask
    if mask.dim() < 4 or all(size == 1 for size in mask.shape[:-3]):
        return q, k, v, mask.reshape((1,) * (4 - min(mask.dim(), 3)) + mask.shape[-3:])
    return q, k, v, mask.expand(*batches, *mask.shape[-3:]).reshape(samples, *mask.shape[-3:])


# ---- Refusals. If PyTorch refuses a call too, the error has the same type.


def _tensor_refusal(x: Any, name: str) -> Refusal | None:
    if not isinstance(x, Tensor):
        return TypeError, f"{name} must be a torch.Tensor, and is {type(x).__name__}"
    if x.layout is not torch.strided or x.is_nested:
        kind, cure = ("nested", "pad it") if x.is_nested else (x.layout, "convert it with .to_dense()")
        return TypeError, f"{name} is {kind}, and must be strided: {cure}"
    if x.device.type not in ("cpu", "meta"):
        return ValueError, f"{name} is on {x.device}, and bitdrop runs on the CPU: move it, or call {_STOCK}"
    return None


def _mask_refusal(mask: Any, query: Tensor, scores: tuple[int, ...], is_causal: bool) -> Refusal | None:
    if refused := _tensor_refusal(mask, "attn_mask"):
        return refused
    if is_causal:
        return RuntimeError, "attn_mask must be None with is_causal=True: add the causal part to the mask"
    if mask.dtype not in (torch.bool, torch.float32, query.dtype):
        return RuntimeError, f"attn_mask is {mask.dtype}, and must be bool, float32 or {query.dtype}: convert it"
    sizes = zip(reversed(mask.shape), reversed(scores), strict=False)
    if mask.dim() > len(scores) or any(size not in (1, whole) for size, whole in sizes):
        return RuntimeError, f"attn_mask of shape {tuple(mask.shape)} does not broadcast to the scores {scores}"
    if mask.requires_grad and torch.is_grad_enabled():
        return ValueError, f"attn_mask requires grad and would get none: .detach() it, or call {_STOCK}"
    return None


def _numbers_refusal(dropout_p: Any, scale: Any) -> Refusal | None:
    for x, name in ((dropout_p, "dropout_p"), (scale, "scale")):
        if not isinstance(x, _NUMBERS) and not (x is None and name == "scale"):
            return TypeError, f"{name} must be a number, and is {type(x).__name__}"
    if not 0 <= dropout_p <= 1:  # NaN is not
        return RuntimeError, f"dropout probability has to be between 0 and 1, but got {shown(dropout_p)}"
    if scale is not None and (scale == 0 or scale - scale != 0):
        return ValueError, f"scale must be finite and not 0, and is {shown(scale)}: call {_STOCK}"
    return None


def _misfit(query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool) -> str:
    shapes = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
    heads = "" if enable_gqa else " (if key and value have fewer heads than query, pass enable_gqa=True)"
    return f"shapes do not fit: {shapes}{heads}"


def refusal(
    query: Any, key: Any, value: Any, attn_mask: Any, dropout_p: Any, is_causal: bool, scale: Any, enable_gqa: bool
) -> Refusal | None:
    """The type of the error and the reason if attention refuses the call; None if it does not."""
    for x, name in ((query, "query"), (key, "key"), (value, "value")):
        if refused := _tensor_refusal(x, name):
            return refused
        if x.dtype is not query.dtype:
            return RuntimeError, f"{name} is {x.dtype}, and must be {query.dtype} as query is: convert one of them"
        if x.dim() < 2:
            return RuntimeError, f"{name} must have at least two dimensions, rows and elements, not {x.dim()}"
    if query.dtype not in DTYPES:
        return TypeError, f"query is {query.dtype}, and must be float32, float64, float16 or bfloat16: convert it first"
    scores = scores_shape(query, key, value, enable_gqa)
    if scores is None or key.shape[-1] != query.shape[-1] or value.shape[-2] != key.shape[-2]:
        return RuntimeError, _misfit(query, key, value, enable_gqa)
    if query.shape[-1] == 0:
        return ValueError, f"the rows of query and key have no elements: call {_STOCK}"
    if refused := _numbers_refusal(dropout_p, scale):
        return refused
    return None if attn_mask is None else _mask_refusal(attn_mask, query, scores, is_causal)
