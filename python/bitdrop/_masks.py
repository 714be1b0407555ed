# SPDX-License-Identifier: Apache-2.0
"""Masks alone: made, counted, unpacked, packed, and those of DropBlock."""

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
    """A shape as a tuple; None of what is none, or cannot be counted."""
    try:
        dims = tuple(map(operator.index, shape if isinstance(shape, tuple) else (shape,)))
    except Exception:
        return None
    # As NumPy counts: a shape of no elements must be possible without the dimensions of length 0.
    return dims if all(d >= 0 for d in dims) and math.prod(d or 1 for d in dims) < 1 << 63 else None


def mask(
    shape: int | tuple[int, int], p: float, *, seed: int, out: Array | None = None, **options: Unpack[MaskOptions]
) -> Any:
    """The mask alone: flat of n elements, or of (rows, cols) with a row of bytes for each row.

    Args:
        shape: n, or (rows, cols).
        p: see the module's description for this, seed and all options.
        seed: key of the generator.
        out: uint8 array to write to, of the shape of the result.
        **options: stream, offset, rounds, isa; of (rows, cols) also pitch, unit, mask_repeat, first_row.

    Returns:
        A uint8 array of shape (ceil(n / 8),) or (rows, ceil(cols / 8)), or out. With mask_repeat there are so many
        times fewer rows. With unit="row" it is flat, with a bit for each row.
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
    """The mask of DropBlock (Ghiasi et al., 2018), which drops squares: about p of all elements.

    To apply it: bitdrop.backward(x, 1 - kept / x.size, mask), on x and on its gradient alike.

    Args:
        shape: (height, width) of a plane, after any number of dimensions of planes.
        p: see the module's description for this, seed and all options.
        block: height and width of a square, at most those of a plane.
        seed: key of the generator.
        out: uint8 array to write to, of the shape of the result.
        **options: stream, offset, rounds, isa.

    Returns:
        (mask, kept): a uint8 array with a row of ceil(width / 8) bytes for each row of each plane, or out, and the
        number of its ones.
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


def _runs(mask: View, shape: tuple[int, ...], row_stride: int | None = None) -> Iterator[tuple[int, int, int]]:
    """(place in memory of the first element, address of its bits, length) of each run of elements whose bits join."""
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
    """The addresses of a view of elements of a byte each, row by row where rows do not join."""
    rows, cols = (1, v.size) if v.row_stride is None else v.shape
    step = v.row_stride or cols
    return [range(v.address + r * step, v.address + r * step + cols) for r in range(rows if cols else 0)]


def _check_apart(read: View, name: str, out: View) -> None:
    """An error if out overlaps what is read. The library sees one run of elements at a time, and this sees all."""
    ours, theirs = _spans(out), _spans(read)
    if not ours or not theirs or ours[-1].stop <= theirs[0].start or theirs[-1].stop <= ours[0].start:
        return
    spans = sorted([*ours, *theirs], key=lambda span: span.start)
    if any(a.stop > b.start for a, b in itertools.pairwise(spans)):
        raise BitdropValueError(f"out overlaps {name}: pass an array with memory of its own")


def mask_count(mask: Array, shape: int | tuple[int, ...] | None = None) -> int:
    """How many elements a mask keeps.

    Args:
        mask: flat, or with a row of bytes for each row.
        shape: n, or the shape of the elements. Bits past them are not counted. None counts all bits, and calls
            write 0 past the last element.

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
    for _, address, n in _runs(bits, dims):
        _count(n, address, kept)
        total += kept.value
    return total


def mask_unpack(mask: Array, shape: int | tuple[int, ...], *, out: Array | None = None) -> Any:
    """A mask as an array of booleans.

    Args:
        mask: flat, or with a row of bytes for each row.
        shape: n, or the shape of the elements.
        out: array of bool or uint8 of that shape to write to.

    Returns:
        An array of bool of that shape, or out: true where kept.
    """
    bits, dims = _arrays.mask_input(mask), _elements(shape)
    result, target = _arrays.flags_output(out, dims)
    _check(bits, dims, by_rows=target.row_stride is not None)
    _check_apart(bits, "mask", target)
    for first, address, n in _runs(bits, dims, target.row_stride):
        _unpack(n, address, target.address + first)
    return result


def mask_pack(keep: Array, *, rows: bool = False, out: Array | None = None) -> Any:
    """A mask of booleans: the opposite of mask_unpack.

    Args:
        keep: array of bool or uint8; what is not 0 is kept.
        rows: whether each row gets bytes of its own.
        out: uint8 array to write to, which is flat or has a row for each row.

    Returns:
        A uint8 array of shape (ceil(n / 8),) or (rows, ceil(cols / 8)), or out.
    """
    source = _arrays.flags(keep, "keep")
    by_rows = _library.flag(rows, "rows") or source.row_stride is not None
    default = _shapes.mask_shapes(source.shape, _shapes.Rows(), by_rows, marks=False)[0]
    result, bits = _arrays.mask_output(out, default, "out")
    _check(bits, source.shape, by_rows, "out")
    _check_apart(source, "keep", bits)
    for first, address, n in _runs(bits, source.shape, source.row_stride):
        _pack(n, source.address + first, address)
    return result
