# SPDX-License-Identifier: Apache-2.0
"""Attention with dropout, in blocks. The module's description in __init__.py says what all calls share."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _arrays, _calls, _heads, _library, _shapes
from ._arrays import Array
from ._calls import AttentionOptions
from ._heads import Bias, Heads, Shape
from .errors import BitdropTypeError, BitdropValueError

if TYPE_CHECKING:
    from typing_extensions import Unpack

_SIZE_BITS = 8 * ctypes.sizeof(ctypes.c_size_t)
_ALIGNMENT = 64  # of scratch memory


class _Inputs(NamedTuple):
    """What the probabilities are made of, and v."""

    q: Heads
    k: Heads
    v: Heads
    bias: Bias | None

    @property
    def scores(self) -> Shape:
        return *self.q.shape[:3], self.k.shape[2]

    @property
    def out(self) -> Shape:
        return *self.q.shape[:3], self.v.shape[3]


def _inputs(q: Array, k: Array, v: Array, bias: Array | None) -> _Inputs:
    queries = _heads.heads(q, "q")
    batch, heads, _, dim = queries.shape
    keys, values = _heads.heads(k, "k"), _heads.heads(v, "v")
    for x, name in ((keys, "k"), (values, "v")):
        if x.dtype != queries.dtype:
            raise BitdropTypeError(f"{name} must be {queries.dtype} as q is, not {x.dtype}")
        if 0 in x.shape[1:] or 0 in queries.shape[1:]:
            raise BitdropValueError(
                f"q and {name} must have a head, a row and an element at least, not shapes {queries.shape}, {x.shape}"
            )
    if keys.shape != (batch, keys.shape[1], keys.shape[2], dim) or heads % keys.shape[1]:
        raise BitdropValueError(
            f"k of shape {keys.shape} does not fit q of shape {queries.shape}: batch and elements must be equal, "
            f"and the heads of k divide those of q"
        )
    if values.shape[:3] != keys.shape[:3]:
        raise BitdropValueError(
            f"v of shape {values.shape} does not fit k of shape {keys.shape}: batch, heads and rows must be equal"
        )
    result = _Inputs(queries, keys, values, None)
    if bias is None:
        return result
    return result._replace(bias=_heads.bias(bias, "bias", queries.dtype, result.scores))


def _indices(scores: Shape, about_whole: Mapping[str, Any]) -> dict[str, int]:
    """Sizes of the whole, of which the scores are a part."""
    have = dict(zip(("index_heads", "index_queries", "index_keys"), scores[1:], strict=True))
    given = {name: value for name, value in about_whole.items() if value is not None}
    result = {name: _library.integer(value, name, _SIZE_BITS) for name, value in given.items()}
    for name, value in result.items():
        if value < have[name]:
            raise BitdropValueError(f"{name} must be at least the {have[name]} of this call, not {value}")
    return result


def _structure(
    x: _Inputs, out: Heads, scale: float | None, causal: bool, causal_first: int, about_whole: Mapping[str, Any]
) -> _library.Attention:
    """The library's structure, of checked values."""
    batch, heads, queries, keys = x.scores
    first = _library.integer(causal_first, "causal_first", 64, signed=True)
    if first and not causal:
        raise BitdropValueError("causal_first is for causal=True")
    return _library.Attention(
        batch=batch,
        heads=heads,
        kv_heads=x.k.shape[1],
        queries=queries,
        keys=keys,
        dim=x.q.shape[3],
        v_dim=x.v.shape[3],
        scale=0 if scale is None else _library.scale(scale),
        q_strides=x.q.strides,
        k_strides=x.k.strides,
        v_strides=x.v.strides,
        out_strides=out.strides,
        bias=None if x.bias is None else x.bias.address,
        bias_strides=(0, 0, 0) if x.bias is None else x.bias.strides,
        causal=causal,
        causal_first=first,
        **_indices(x.scores, about_whole),
    )


def _scratch(cfg: _library.Config, dtype: int, a: _library.Attention) -> tuple[object, int]:
    """Scratch memory and its address. If an argument is wrong its size is 0, and the call itself says what is wrong."""
    buffer = _arrays.empty(_library.attention_scratch_bytes(cfg, dtype, a) + _ALIGNMENT, np.uint8)
    return buffer, (buffer.ctypes.data + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT


def _mask_shapes(scores: Shape) -> list[tuple[int, ...]]:
    return _shapes.mask_shapes(scores, _shapes.UNUSED, by_rows=True, marks=False)


def _check_mask(bits: _arrays.View, scores: Shape) -> None:
    _shapes.check_mask(bits, _mask_shapes(scores), scores)
    if bits.row_stride is not None:
        raise BitdropValueError("mask must be contiguous")


def attention(
    q: Array,
    k: Array,
    v: Array,
    p: float,
    *,
    seed: int | None = None,
    bias: Array | None = None,
    scale: float | None = None,
    causal: bool = False,
    causal_first: int = 0,
    out: Array | None = None,
    lse: Array | bool = True,
    mask: Array | bool = False,
    **options: Unpack[AttentionOptions],
) -> tuple[Any, Any, Any]:
    """dropout(softmax(scale * q k^T + bias)) v of each head, in blocks: the probabilities are never all in memory.

    The bits are those of forward_softmax on all scores: probability (b, h, i, j) has the index
    offset + ((b * index_heads + h) * index_queries + i) * index_keys + j.

    Args:
        q: [batch, heads, queries, elements]. Elements of a row lie together; all else may have any strides, so that a
            transposed [batch, queries, heads, elements] is taken as it is.
        k: [batch, heads of k and v, keys, elements] of q's dtype. Its heads divide those of q, and so many heads of q
            in succession share one.
        v: [batch, heads of k and v, keys, elements of a row of the result], likewise.
        p: see the module's description for this, seed and the options. At inference pass 0.
        seed: key of the generator; may be left out if p is 0.
        bias: array of q's dtype, added to scale * q k^T; -inf hides. Broadcasts to [batch, heads, queries, keys], of
            which it has all keys.
        scale: factor of q k^T, not 0; None for 1 / sqrt(elements of q).
        causal: whether query i sees the keys j <= i + causal_first only.
        causal_first: see causal; keys - queries where the queries are the last of as many as there are keys.
        out: array [batch, heads, queries, elements of v] of q's dtype to write to, of any strides as q.
        lse: array [batch, heads, queries] that receives the logarithms of the sums of exp. attention_backward needs
            them. Its dtype is float64 if q has it, else float32. True for a new one, False if it is not wanted.
        mask: uint8 array (batch * heads * queries, ceil(keys / 8)) to write the mask to, or True for a new one. False
            keeps none in memory: attention_backward makes the bits again.
        **options: stream, offset, rounds, scaling, isa; of a part of a whole also index_heads, index_queries and
            index_keys, which are sizes of the whole. offset is moved on to the first probability of the part, and
            causal_first likewise.

    Returns:
        (out, lse, mask): the result, in memory in the order of q; the second and third are None if there are none;
        out, lse and mask if given. A query that sees no key has the result 0 and lse -inf.
    """
    p, causal = _library.probability(p), _library.flag(causal, "causal")
    if seed is None and p != 0:
        raise BitdropTypeError("seed is needed where p is not 0")
    settings, about_whole = _calls.split("attention", options, AttentionOptions)
    cfg = _library.config(p, seed=0 if seed is None else seed, remade=mask is False, **settings)
    x = _inputs(q, k, v, bias)
    dtype = _arrays.CODES[x.q.dtype]
    out, target = _heads.output(out, "out", x.q.dtype, x.out, _heads.order_of(x.q, x.out))
    a = _structure(x, target, scale, causal, causal_first, about_whole)

    sums = bits = None
    if isinstance(lse, bool):
        lse_given: Any = _arrays.empty(x.scores[:3], _arrays.row_number(x.q.dtype)) if lse else None
    else:
        lse_given = lse
    if lse_given is not None:
        sums = _arrays.row_numbers(lse_given, "lse", x.q.dtype, x.scores[:3], written=True)
    mask_given: Any = None if isinstance(mask, bool) else mask
    if mask is not False:
        mask_given, bits = _arrays.mask_output(mask_given, _mask_shapes(x.scores)[0], "mask")
        _check_mask(bits, x.scores)

    _buffer, scratch = _scratch(cfg, dtype, a)
    _library.attention_forward(
        cfg,
        dtype,
        a,
        *(x.q.address, x.k.address, x.v.address, target.address),
        sums and sums.address,
        bits and bits.address,
        scratch,
    )
    return out, lse_given, mask_given


def attention_backward(
    dout: Array,
    q: Array,
    k: Array,
    v: Array,
    p: float,
    mask: Array | None = None,
    *,
    out: Array,
    lse: Array,
    seed: int | None = None,
    bias: Array | None = None,
    scale: float | None = None,
    causal: bool = False,
    causal_first: int = 0,
    dq: Array | None = None,
    dk: Array | None = None,
    dv: Array | None = None,
    **options: Unpack[AttentionOptions],
) -> tuple[Any, Any, Any]:
    """The backward pass of attention: the gradients of q, k and v. Probabilities are made again in blocks.

    Args:
        dout: gradient of attention's result, of its shape, dtype and strides.
        q: that of attention, as are k, v, bias, scale, causal, causal_first and all options but isa.
        k: see q.
        v: see q.
        p: that of attention.
        mask: what attention returned, if it was told to keep a mask.
        out: the result of attention.
        lse: what attention returned.
        seed: that of attention, to make the bits again. Pass it instead of mask. Both may be left out if p is 0.
        bias: see q. It gets no gradient.
        scale: see q.
        causal: see q.
        causal_first: see q.
        dq: array of q's shape, dtype and strides to write to, which is no input. A new one has the gaps of q too:
            where q, k and v are parts of one array, pass parts of another.
        dk: the same of k.
        dv: the same of v.
        **options: as those of attention. With a mask, stream and offset are not looked at.

    Returns:
        (dq, dk, dv): new arrays of the strides of q, k and v, or those given. Where heads of q share one of k and v,
        its gradients are their sums.
    """
    p, causal = _library.probability(p), _library.flag(causal, "causal")
    if (mask is None) == (seed is None) and (mask is not None or p != 0):
        raise _calls.mask_or_seed()
    settings, about_whole = _calls.split("attention_backward", options, AttentionOptions)
    cfg = _library.config(p, seed=0 if seed is None else seed, remade=mask is None, **settings)
    x = _inputs(q, k, v, bias)
    dtype = _arrays.CODES[x.q.dtype]
    result = _heads.like(out, "out", x.q.dtype, x.out)
    gradient = _heads.like(dout, "dout", x.q.dtype, x.out)
    _heads.check_strides(gradient, "dout", result, "out")
    sums = _arrays.row_numbers(lse, "lse", x.q.dtype, x.scores[:3], written=False)
    bits = None
    if mask is not None:
        bits = _arrays.mask_input(mask)
        _check_mask(bits, x.scores)

    written = []
    for given, of, name in ((dq, x.q, "q"), (dk, x.k, "k"), (dv, x.v, "v")):
        if of.repeats:
            raise BitdropValueError(f"{name} has a stride of 0, which its gradient cannot have: pass a copy of {name}")
        written.append(_heads.output(given, f"d{name}", of.dtype, of.shape, of.strides))
        _heads.check_strides(written[-1][1], f"d{name}", of, name)

    a = _structure(x, result, scale, causal, causal_first, about_whole)
    _buffer, scratch = _scratch(cfg, dtype, a)
    _library.attention_backward(
        cfg,
        dtype,
        a,
        gradient.address,
        *(x.q.address, x.k.address, x.v.address, result.address, sums.address),
        *(view.address for _, view in written),
        bits and bits.address,
        scratch,
    )
    return written[0][0], written[1][0], written[2][0]
