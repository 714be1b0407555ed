# SPDX-License-Identifier: Apache-2.0
"""Attention on tensors [batch, heads, rows, elements]: the calls of the C library, and the strides of their results.

The library accepts any strides, but the elements of a row must be contiguous. Results are dense. Their dimensions have
the same order in memory as those of an input: if a projection made [batch, rows, heads, elements], so do they.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import _library
from . import _kernels
from ._kernels import DTYPES

_ALIGNMENT = 64  # of scratch memory, in bytes

_c_forward = _kernels.unchecked("bitdrop_attention_forward")
_c_backward = _kernels.unchecked("bitdrop_attention_backward")

Strides = tuple[int, int, int]  # elements from sample to sample, head to head and row to row


class Options(NamedTuple):
    """The arguments of a call that are no tensors."""

    seed: int  # 0 if p is 0
    p: float
    is_causal: bool
    scale: float | None


# ---- Memory.


def new(x: Tensor, cols: int) -> Tensor:
    """A new dense tensor of x's dtype and shape, but with `cols` columns. Its dimensions have x's order in memory."""
    sizes, strides = x.shape, x.stride()
    repeats = any(stride == 0 and size > 1 for size, stride in zip(sizes, strides, strict=True))
    order = (2, 1, 0) if repeats else sorted((2, 1, 0), key=lambda i: strides[i])
    result, step = [0, 0, 0, 1], cols
    for i in order:
        result[i] = step
        step = step * sizes[i]
    return x.new_empty_strided((*sizes[:3], cols), result)


def new_lse(q: Tensor) -> Tensor:
    """A new tensor for the logarithm of the sum of exp of each row."""
    return q.new_empty(q.shape[:3], dtype=torch.float64 if q.dtype is torch.float64 else torch.float32)


def _strides(x: Tensor) -> Strides | None:
    """The strides for the library; None if the elements of a row are not contiguous, or if rows overlap.

    The stride of a dimension of length 1 has no effect. It is replaced by the dense one, because three strides of 0
    mean a dense tensor to the library.
    """
    samples, heads, rows, cols = x.shape
    sample, head, row, step = x.stride()
    if rows == 1:
        row = cols
    if (step != 1 and cols > 1) or row < cols:
        return None
    if heads == 1:
        head = rows * row
    if samples == 1:
        sample = heads * head
    return sample, head, row


def _copy(x: Tensor) -> tuple[Tensor, Strides]:
    copy = new(x, x.shape[3]).copy_(x)
    strides = _strides(copy)
    assert strides is not None
    return copy, strides


def _readable(x: Tensor) -> tuple[Tensor, Strides]:
    """The argument x, or a copy if the elements of its rows are not contiguous, and the strides."""
    strides = _strides(x)
    return _copy(x) if strides is None else (x, strides)


def _dense(x: Tensor) -> tuple[Tensor, Strides]:
    """The argument x, or a dense copy if x has gaps or repeats elements, and the strides. An output can have these."""
    strides = _strides(x)
    if strides is None:
        return _copy(x)
    step = x.shape[3]
    for stride, size in sorted(zip(strides, x.shape[:3], strict=True)):
        if stride != step and size > 1:
            return _copy(x)
        step *= size
    return x, strides


class _Stripes(NamedTuple):
    """The elements of a view as `count` contiguous stripes of equal length, whose starts are `distance` apart.

    distance is 0 if the view does not consist of such stripes.
    """

    storage: int
    distance: int
    count: int
    first: int  # offset of the first stripe in the storage
    length: int


def _stripes(x: Tensor) -> _Stripes:
    strides = _strides(x) or (1, 1, 1)
    length, count, distance = x.shape[3], 1, 0
    for stride, size in sorted(zip(strides, x.shape[:3], strict=True)):
        if size == 1:
            continue
        if distance == 0 and stride == length:
            length *= size
        elif distance == 0 or stride == distance * count:
            distance, count = distance or stride, count * size
        else:
            distance = 0
            break
    return _Stripes(x.untyped_storage().data_ptr(), distance, count, int(x.storage_offset()), length)


def _side_by_side(inputs: tuple[Tensor, ...]) -> list[Tensor] | None:
    """New tensors for the gradients of q, k and v, if these are views that together fill one tensor without gaps.

    A projection often makes such views. The new tensors are views of one new tensor in the same way. Returns None for
    other inputs.
    """
    views = sorted(map(_stripes, inputs))
    storage, distance, count, begin, _ = views[0]
    end = begin
    for view in views:
        if distance == 0 or view[:4] != (storage, distance, count, end):
            return None
        end += view.length
    if end - begin != distance:
        return None
    memory = inputs[0].new_empty(distance * count)
    return [memory.as_strided(x.shape, x.stride(), x.storage_offset() - begin) for x in inputs]


def rounded(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A float mask in the dtype of the query."""
    if dtype.itemsize < mask.dtype.itemsize:  # clamped, so that float32's lowest number does not become -inf
        limits = torch.finfo(dtype)
        mask = torch.where(mask.isfinite(), mask.clamp(limits.min, limits.max), mask)
    return mask.to(dtype)


def _bias(mask: Tensor, dtype: torch.dtype, keys: int) -> Tensor:
    """The bias for the library. Dimensions that repeat have size 1 and no copies in memory; each row has all keys."""
    for i in range(3):
        if mask.stride(i) == 0 and mask.shape[i] > 1:
            mask = mask.narrow(i, 0, 1)
    if mask.dtype is torch.bool:
        mask = torch.full(mask.shape, -math.inf, dtype=dtype, device="cpu").masked_fill_(mask, 0.0)
    else:
        mask = rounded(mask, dtype)
    if mask.shape[3] != keys:
        mask = mask.expand(-1, -1, -1, keys)
    together = (mask.stride(3) == 1 or keys == 1) and (mask.shape[2] == 1 or mask.stride(2) >= keys)
    return mask if together else mask.contiguous()


# ---- Calls.


def _call_attention(
    function: Any,
    q: Tensor,
    v: Tensor,
    mask: Tensor | None,
    strides: tuple[Strides, Strides, Strides, Strides],
    options: Options,
    addresses: tuple[int | None, ...],
) -> None:
    seed, p, causal, scale = options
    (batch, heads, queries, dim), (_, kv_heads, keys, v_dim) = q.shape, v.shape
    sizes = (batch, heads, kv_heads, queries, keys, dim, v_dim)
    a = _library.Attention(*sizes, scale or 0.0, *strides, causal=causal)
    if mask is not None:
        bias = _bias(mask, q.dtype, keys)
        a.bias = bias.data_ptr()
        for i in range(3):
            a.bias_strides[i] = 0 if bias.shape[i] == 1 else bias.stride(i)
    config = _library.Config(p, seed, mask_use=_library.MASK_REMADE)
    _alive = _kernels.share(config)
    common = (config, DTYPES[q.dtype], a)
    buffer = torch.empty(_library.attention_scratch_bytes(*common) + _ALIGNMENT, dtype=torch.uint8, device="cpu")
    scratch = (buffer.data_ptr() + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT
    status = function(*common, *addresses, None, scratch)
    if status:
        _library.raise_status(status, function, common)


def forward(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, options: Options, lse: Tensor | None) -> Tensor:
    """The result. If lse is not None, the logarithm of the sum of exp of each row is written to it."""
    out = new(q, v.shape[3])
    if out.numel() == 0 or k.shape[2] == 0:
        if lse is not None:
            lse.fill_(-math.inf)
        return out.zero_()
    (q, of_q), (k, of_k), (v, of_v), (_, of_out) = _readable(q), _readable(k), _readable(v), _dense(out)
    addresses = (q.data_ptr(), k.data_ptr(), v.data_ptr(), out.data_ptr(), None if lse is None else lse.data_ptr())
    _call_attention(_c_forward, q, v, mask, (of_q, of_k, of_v, of_out), options, addresses)
    return out


def backward(
    dout: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    out: Tensor,
    lse: Tensor,
    options: Options,
    *,
    may_share: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v. If may_share, they may be views of one tensor, which an operator must not return."""
    gradients = _side_by_side((q, k, v)) if may_share else None
    prepare = _readable if gradients else _dense
    dq, dk, dv = gradients or [new(x, x.shape[3]) for x in (q, k, v)]
    if out.numel() == 0 or k.shape[2] == 0:
        return dq.zero_(), dk.zero_(), dv.zero_()
    (q, of_q), (k, of_k), (v, of_v), (out, of_out) = prepare(q), prepare(k), prepare(v), _dense(out)
    if _strides(dout) != of_out:
        dout = torch.empty_like(out).copy_(dout)
    addresses = tuple(x.data_ptr() for x in (dout, q, k, v, out, lse, dq, dk, dv))
    _call_attention(_c_backward, q, v, mask, (of_q, of_k, of_v, of_out), options, addresses)
    return dq, dk, dv
