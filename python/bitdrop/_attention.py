# SPDX-License-Identifier: Apache-2.0
"""Attention with dropout, in blocks. The docstring of __init__.py describes what all calls share."""

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
_ALIGNMENT = 64  # of scratch memory, in bytes


class _Inputs(NamedTuple):
    """Views of the inputs that the forward and the backward call share."""

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
    """The options index_*: the sizes of the whole tensor of scores, of which this call may compute a part."""
    least = dict(zip(("index_heads", "index_queries", "index_keys"), scores[1:], strict=True))
    given = {name: value for name, value in about_whole.items() if value is not None}
    result = {name: _library.integer(value, name, _SIZE_BITS) for name, value in given.items()}
    for name, value in result.items():
        if value < least[name]:
            raise BitdropValueError(f"{name} must be at least the {least[name]} of this call, not {value}")
    return result


def _structure(
    x: _Inputs, out: Heads, scale: float | None, causal: bool, causal_first: int, about_whole: Mapping[str, Any]
) -> _library.Attention:
    """A bitdrop_attention with checked values."""
    batch, heads, queries, keys = x.scores
    first = _library.integer(causal_first, "causal_first", 64, signed=True)
    if first and not causal:
        raise BitdropValueError("causal_first must be 0 unless causal=True")
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
    """Scratch memory and its aligned address.

    If an argument is wrong, the library returns a size of 0 here. The call itself then raises the error.
    """
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

    The mask bits are those of forward_softmax on all scores: probability (b, h, i, j) has the index
    offset + ((b * index_heads + h) * index_queries + i) * index_keys + j.

    Args:
        q: [batch, heads, queries, elements]. The elements of a row must be contiguous. All other strides may be any
            that do not make rows overlap, so a transposed [batch, queries, heads, elements] needs no copy.
        k: [batch, heads of k and v, keys, elements] of q's dtype. The number of its heads divides that of q. If there
            are fewer, successive heads of q share one.
        v: [batch, heads of k and v, keys, elements of a row of the result] of q's dtype.
        p: probability that a softmax probability is dropped, in [0, 1]. At inference pass 0. help(bitdrop) describes
            the options.
        seed: key of the generator, in [0, 2**64). It may be left out if p is 0.
        bias: array of q's dtype, added to scale * q k^T. -inf hides a key. It broadcasts to [batch, heads, queries,
            keys], but must have all keys.
        scale: factor of q k^T, finite and not 0. None is 1 / sqrt(elements of q).
        causal: if true, query i sees only the keys j <= i + causal_first.
        causal_first: see causal; 0 if causal is false. Pass keys - queries if the last key belongs to the last query.
        out: array [batch, heads, queries, elements of v] of q's dtype that receives the result. Its rows must not share
            memory. None for a new array.
        lse: array [batch, heads, queries] that receives the logarithm of the sum of exp of each row, which
            attention_backward needs. Its dtype is float64 if q's is, else float32. True makes a new array, and False
            none.
        mask: uint8 array (batch * heads * queries, ceil(keys / 8)) that receives the mask, or True for a new one. If
            False, no mask is kept in memory, and attention_backward makes the bits again from the seed.
        **options: stream, offset, rounds, scaling, isa, index_heads, index_queries, index_keys. The last three are for
            a call on a part of a whole tensor: they are the sizes of the whole. Add to offset the index of the part's
            first probability in the whole, and add to causal_first the part's first query minus its first key.

    Returns:
        (out, lse, mask): the result, and lse and mask, or None for each that is not made. Arrays that were passed are
        returned. A new out has its dimensions in memory in the order of q's. A query that sees no key has the result 0
        and the lse -inf.
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
        lse_given: Any = _arrays.empty(x.scores[:3], _arrays.row_number_dtype(x.q.dtype)) if lse else None
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
    """The backward pass of attention: the gradients of q, k and v.

    The probabilities are computed again in blocks, as in FlashAttention (Dao et al., 2022).

    Args:
        dout: gradient of attention's result, of its shape, dtype and strides.
        q: as in the call of attention, like k, v, p, bias, scale, causal, causal_first and all options except isa. q, k
            and v must not repeat elements by a stride of 0.
        k: see q.
        v: see q.
        p: see q.
        mask: the mask that attention returned, if it made one.
        out: the result of attention.
        lse: the lse that attention returned.
        seed: the seed of the call of attention, from which the bits are made again. Pass either mask or seed. Both may
            be left out if p is 0.
        bias: see q. It gets no gradient.
        scale: see q.
        causal: see q.
        causal_first: see q.
        dq: array of q's shape, dtype and strides that receives the gradient of q. It must not be an input. None for a
            new array with the strides of q, which has unused memory between its rows if q has. If q, k and v are parts
            of one array, pass the parts of another such array as dq, dk and dv.
        dk: the same for k.
        dv: the same for v.
        **options: the options of attention. stream and offset have no effect if mask is passed.

    Returns:
        (dq, dk, dv): new arrays with the strides of q, k and v, or the arrays that were passed. If heads of q share a
        head of k and v, the gradients of that head are sums over these heads of q.
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
