# SPDX-License-Identifier: Apache-2.0
"""Attention on tensors [batch, heads, rows, elements]: the calls of the C library, and the strides of their results.

The library takes any strides, except between the elements of a row. Results are dense, and their dimensions lie in
memory in the order of those of an input: what a projection left as [batch, rows, heads, elements] stays so.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import _library
from . import _kernels
from ._kernels import DTYPES

_ALIGNMENT = 64  # of scratch memory

_c_forward = _kernels.unchecked("bitdrop_attention_forward")
_c_backward = _kernels.unchecked("bitdrop_attention_backward")

Strides = tuple[int, int, int]  # elements from sample to sample, head to head and row to row


class Options(NamedTuple):
    """What a call is told besides its tensors."""

    seed: int  # 0 where p is
    p: float
    is_causal: bool
    scale: float | None


# ---- Memory.


def new(x: Tensor, cols: int) -> Tensor:
    """Room for rows of that many elements in x's dtype, dense, in the order of x's dimensions."""
    sizes, strides = x.shape, x.stride()
    repeats = any(stride == 0 and size > 1 for size, stride in zip(sizes, strides, strict=True))
    order = (2, 1, 0) if repeats else sorted((2, 1, 0), key=lambda i: strides[i])
    result, step = [0, 0, 0, 1], cols
    for i in order:
        result[i] = step
        step = step * sizes[i]
    return x.new_empty_strided((*sizes[:3], cols), result)


def new_lse(q: Tensor) -> Tensor:
    """Room for the logarithm of the sum of exp of each row."""
    return q.new_empty(q.shape[:3], dtype=torch.float64 if q.dtype is torch.float64 else torch.float32)


def _strides(x: Tensor) -> Strides | None:
    """The strides that the library is told; None if the elements of a row do not lie together.

    Those along a dimension of 1 say nothing and are made dense: the library takes three of 0 for a dense tensor.
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
    """X, or a copy whose rows have their elements together, and its strides."""
    strides = _strides(x)
    return _copy(x) if strides is None else (x, strides)


def _dense(x: Tensor) -> tuple[Tensor, Strides]:
    """X, or a copy without gaps and repeated elements, and its strides, which a tensor that is written to can have."""
    strides = _strides(x)
    if strides is None:
        return _copy(x)
    step = x.shape[3]
    for stride, size in sorted(zip(strides, x.shape[:3], strict=True)):
        if stride != step and size > 1:
            return _copy(x)
        step *= size
    return x, strides


class _Comb(NamedTuple):
    """Where the elements of a view lie: in runs of one length, at equal distances; distance is 0 if not so."""

    storage: int
    distance: int
    runs: int
    first: int
    run: int


def _comb(x: Tensor) -> _Comb:
    strides = _strides(x) or (1, 1, 1)
    run, runs, distance = x.shape[3], 1, 0
    for stride, size in sorted(zip(strides, x.shape[:3], strict=True)):
        if size == 1:
            continue
        if distance == 0 and stride == run:
            run *= size
        elif distance == 0 or stride == distance * runs:
            distance, runs = distance or stride, runs * size
        else:
            distance = 0
            break
    return _Comb(x.untyped_storage().data_ptr(), distance, runs, int(x.storage_offset()), run)


def _side_by_side(inputs: tuple[Tensor, ...]) -> list[Tensor] | None:
    """Room for the gradients of views that together fill one tensor, as a projection leaves them: likewise."""
    combs = sorted(map(_comb, inputs))
    storage, distance, runs, begin, _ = combs[0]
    end = begin
    for comb in combs:
        if distance == 0 or comb[:4] != (storage, distance, runs, end):
            return None
        end += comb.run
    if end - begin != distance:
        return None
    room = inputs[0].new_empty(distance * runs)
    return [room.as_strided(x.shape, x.stride(), x.storage_offset() - begin) for x in inputs]


def rounded(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A float mask in the dtype of the query."""
    if dtype.itemsize < mask.dtype.itemsize:  # float32's lowest number is finite, and not -inf in a half type
        limits = torch.finfo(dtype)
        mask = torch.where(mask.isfinite(), mask.clamp(limits.min, limits.max), mask)
    return mask.to(dtype)


def _bias(mask: Tensor, dtype: torch.dtype, keys: int) -> Tensor:
    """What is added to the scores: repeated by sizes of 1 and not in memory, with all keys in each row."""
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
    room = torch.empty(_library.attention_scratch_bytes(*common) + _ALIGNMENT, dtype=torch.uint8, device="cpu")
    scratch = (room.data_ptr() + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT
    status = function(*common, *addresses, None, scratch)
    if status:
        _library.raise_status(status, function, common)


def forward(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, options: Options, lse: Tensor | None) -> Tensor:
    """The result. What lse shall hold is written to it, if it is there."""
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
    """The gradients of q, k and v. With may_share they may lie in one tensor, which results of an operator must not."""
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
