# SPDX-License-Identifier: Apache-2.0
"""Calls on masks alone: they make, count, unpack and pack masks, and make those of DropBlock."""

from __future__ import annotations

import ctypes
import itertools
import math
import operator
from collections.abc import Iterator
from ctypes import c_size_t, c_void_p
from typing import TYPE_CHECKING, Any

from . import _arrays, _calls, _library, _operations, _shapes
from ._arrays import Array, View
from ._calls import MaskOptions, StreamOptions
from .errors import BitdropValueError, shown

if TYPE_CHECKING:
    from typing_extensions import Unpack

_count = _library.declare_call("bitdrop_mask_count", c_size_t, c_void_p, ctypes.POINTER(c_size_t))
_unpack = _library.declare_call("bitdrop_mask_unpack", c_size_t, c_void_p, c_void_p)
_pack = _library.declare_call("bitdrop_mask_pack", c_size_t, c_void_p, c_void_p)
_dropblock = _library.declare_call(
    "bitdrop_mask_dropblock",
    ctypes.POINTER(_library.Config),
    *(c_size_t, c_size_t, c_size_t, c_size_t),
    c_void_p,
    ctypes.POINTER(c_size_t),
)


def _dimensions(shape: Any) -> tuple[int, ...] | None:
    """A shape as a tuple. None if it is not a shape, or has 2**63 elements or more."""
    try:
        dims = tuple(map(operator.index, shape if isinstance(shape, tuple) else (shape,)))
    except Exception:
        return None
    # NumPy's rule: dimensions of length 0 are left out when the elements are counted.
    return dims if all(d >= 0 for d in dims) and math.prod(d or 1 for d in dims) < 1 << 63 else None


def mask(
    shape: int | tuple[int, int], p: float, *, seed: int, out: Array | None = None, **options: Unpack[MaskOptions]
) -> Any:
    """A mask without data: flat for n elements, or by rows for a matrix.

    Args:
        shape: n, or (rows, cols). Less than 2**63 elements.
        p: probability that an element is dropped, in [0, 1]. help(bitdrop) describes the options.
        seed: key of the generator, in [0, 2**64).
        out: uint8 array of the shape of the result that receives the mask. None for a new one.
        **options: stream, offset, rounds, isa; for (rows, cols) also pitch, unit, mask_repeat, first_row.

    Returns:
        A new uint8 array, or out. Its shape is (ceil(n / 8),) for n, and (rows, ceil(cols / 8)) for a matrix. With
        mask_repeat, the mask has one row for each group of rows that share their decisions. With unit="row" it is flat
        and has one bit for each row or group.
    """
    settings, about_rows = _calls.split("mask", options, MaskOptions)
    cfg = _library.config(p, seed=seed, **settings)
    dims = _dimensions(shape)
    if dims is None or len(dims) not in (1, 2):
        raise BitdropValueError(f"shape must be n or (rows, cols), of less than 2**63 elements, not {shown(shape)}")
    rows = _shapes.rows(dims, **about_rows)
    expected = _shapes.mask_shapes(dims, rows, by_rows=len(dims) == 2, marks=False)[0]
    result, bits = _arrays.mask_output(out, expected, "out")
    if bits.shape != expected:
        raise BitdropValueError(f"out must have shape {expected} for a mask of shape {dims}")
    extent = _shapes.shape_2d(dims, rows if len(dims) == 2 else None, mask=bits)
    _operations.call("mask", {"cfg": cfg, "shape": extent, "mask": bits.address})
    return result


def mask_dropblock(
    shape: tuple[int, ...],
    p: float,
    block: int,
    *,
    seed: int,
    out: Array | None = None,
    **options: Unpack[StreamOptions],
) -> tuple[Any, int]:
    """The mask of DropBlock (Ghiasi et al., 2018), which drops squares of block x block elements.

    bitdrop.backward(x, 1 - kept / x.size, mask) applies the mask to x. The same call on the gradient is the backward
    pass.

    Args:
        shape: (..., height, width): the height and the width of a plane are the last two dimensions. Less than 2**63
            elements.
        p: about this share of all elements is dropped, in [0, 1].
        block: height and width of a square, in [1, min(height, width)].
        seed: key of the generator, in [0, 2**64).
        out: contiguous uint8 array of the shape of the result that receives the mask. None for a new one.
        **options: stream, offset, rounds, isa.

    Returns:
        (mask, kept): a new uint8 array of shape (planes * height, ceil(width / 8)), or out; and the number of its ones.
    """
    settings, _ = _calls.split("mask_dropblock", options, StreamOptions)
    cfg = _library.config(p, seed=seed, **settings)
    dims = _dimensions(shape)
    if dims is None or len(dims) < 2:
        raise BitdropValueError(
            f"shape must end with the height and width of a plane, of less than 2**63 elements, not be {shown(shape)}"
        )
    *planes, height, width = dims
    expected = (math.prod(dims[:-1]), _shapes.row_bytes(width))
    result, bits = _arrays.mask_output(out, expected, "out")
    if bits.shape != expected or bits.row_stride is not None:
        raise BitdropValueError(f"out must be contiguous, of shape {expected} for planes of shape {dims}")
    size = 8 * ctypes.sizeof(c_size_t)
    kept = c_size_t()
    _dropblock(cfg, math.prod(planes), height, width, _library.integer(block, "block", size), bits.address, kept)
    return result, kept.value


def _parts(mask: View, shape: tuple[int, ...], row_stride: int | None = None) -> Iterator[tuple[int, int, int]]:
    """Parts of the elements whose elements and bits are both contiguous: all of them, or each row.

    Yields (offset of the first element in memory, address of its bits, number of elements). row_stride is that of the
    elements, or None if they are contiguous.
    """
    rows, cols = _shapes.rows_and_cols(shape)
    if mask.row_stride is None and row_stride is None and (len(mask.shape) == 1 or cols % 8 == 0):
        yield 0, mask.address, rows * cols
        return
    for r in range(rows):
        yield r * (row_stride or cols), mask.address + r * (mask.row_stride or _shapes.row_bytes(cols)), cols


def _elements(shape: Any) -> tuple[int, ...]:
    """A shape of any number of dimensions, or an error."""
    dims = _dimensions(shape)
    if dims is None:
        raise BitdropValueError(f"shape must be n or a tuple of lengths, not {shown(shape)}")
    return dims


def _check(mask: View, shape: tuple[int, ...], by_rows: bool = False, name: str = "mask") -> None:
    allowed = _shapes.mask_shapes(shape, _shapes.Rows(), by_rows, marks=False)
    _shapes.check_mask(mask, allowed, shape, name)


def _spans(v: View) -> list[range]:
    """The addresses of the bytes of a view: one range if it is contiguous, else one for each row."""
    rows, cols = (1, v.size) if v.row_stride is None else v.shape
    step = v.row_stride or cols
    return [range(v.address + r * step, v.address + r * step + cols) for r in range(rows if cols else 0)]


def _check_apart(read: View, name: str, out: View) -> None:
    """An error if out overlaps the array that is read. The library checks only the rows of one call at a time."""
    ours, theirs = _spans(out), _spans(read)
    if not ours or not theirs or ours[-1].stop <= theirs[0].start or theirs[-1].stop <= ours[0].start:
        return
    spans = sorted([*ours, *theirs], key=lambda span: span.start)
    if any(a.stop > b.start for a, b in itertools.pairwise(spans)):
        raise BitdropValueError(f"out overlaps {name}: pass an array with memory of its own")


def mask_count(mask: Array, shape: int | tuple[int, ...] | None = None) -> int:
    """The number of elements that a mask keeps.

    Args:
        mask: uint8 array, flat or by rows.
        shape: n, or the shape of the elements. Bits past the last element of a row are not counted. None counts all
            bits: in a mask that bitdrop made, the bits past the last element are 0.

    Returns:
        The number of ones.
    """
    bits = _arrays.mask_input(mask)
    if shape is None:
        dims: tuple[int, ...] = (8 * math.prod(bits.shape),)
        dims = dims if bits.row_stride is None else (bits.shape[0], 8 * bits.shape[1])
    else:
        dims = _elements(shape)
        _check(bits, dims)
    total, kept = 0, c_size_t()
    for _, address, n in _parts(bits, dims):
        _count(n, address, kept)
        total += kept.value
    return total


def mask_unpack(mask: Array, shape: int | tuple[int, ...], *, out: Array | None = None) -> Any:
    """A mask as an array of booleans.

    Args:
        mask: uint8 array, flat or by rows.
        shape: n, or the shape of the elements.
        out: array of bool or uint8 of that shape that receives the result. It must not overlap mask. None for a new
            one.

    Returns:
        A new array of bool of that shape, or out. An element is true (1) if it is kept.
    """
    bits, dims = _arrays.mask_input(mask), _elements(shape)
    result, target = _arrays.flags_output(out, dims)
    _check(bits, dims, by_rows=target.row_stride is not None)
    _check_apart(bits, "mask", target)
    for first, address, n in _parts(bits, dims, target.row_stride):
        _unpack(n, address, target.address + first)
    return result


def mask_pack(keep: Array, *, rows: bool = False, out: Array | None = None) -> Any:
    """A mask from an array of booleans: the opposite of mask_unpack.

    Args:
        keep: array of bool or uint8. Elements that are not 0 are kept.
        rows: if true, the mask is by rows, else flat. If keep is a matrix with a row stride, it is by rows in any case.
        out: uint8 array that receives the mask, flat or by rows. It must not overlap keep. None for a new one.

    Returns:
        A new uint8 array of shape (ceil(n / 8),) or (rows, ceil(cols / 8)), or out.
    """
    source = _arrays.flags(keep, "keep")
    by_rows = _library.flag(rows, "rows") or source.row_stride is not None
    default = _shapes.mask_shapes(source.shape, _shapes.Rows(), by_rows, marks=False)[0]
    result, bits = _arrays.mask_output(out, default, "out")
    _check(bits, source.shape, by_rows, "out")
    _check_apart(source, "keep", bits)
    for first, address, n in _parts(bits, source.shape, source.row_stride):
        _pack(n, source.address + first, address)
    return result
