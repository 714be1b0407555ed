# SPDX-License-Identifier: Apache-2.0
"""Rows and columns of a call, how its rows and elements share decisions, and the shapes that its mask may have."""

from __future__ import annotations

import ctypes
import math
from typing import NamedTuple

from . import _library
from ._arrays import View
from .errors import BitdropValueError

UNITS = {"element": 0, "row": 1}
_SIZE_BITS = 8 * ctypes.sizeof(ctypes.c_size_t)


def row_bytes(cols: int) -> int:
    """The number of bytes that cols bits need."""
    return (cols + 7) // 8


def rows_and_cols(shape: tuple[int, ...]) -> tuple[int, int]:
    """The number of rows and of columns. The last dimension is the columns; the others together are the rows."""
    return (math.prod(shape[:-1]), shape[-1]) if shape else (1, 1)


class Rows(NamedTuple):
    """The options of a call about rows. With the defaults, a matrix has the same indices and bits as a flat array."""

    pitch: int | None = None
    each_row: bool = False
    mask_repeat: int = 1
    first_row: int = 0

    @property
    def used(self) -> bool:
        """Whether any option differs from its default."""
        return self != UNUSED

    def decisions(self, shape: tuple[int, ...]) -> int:
        """The number of mask rows, or of mask bits if each row is kept or dropped as a whole."""
        rows, cols = rows_and_cols(shape)
        if rows == 0 or (self.each_row and cols == 0):
            return 0
        return (self.first_row + rows - 1) // self.mask_repeat - self.first_row // self.mask_repeat + 1


UNUSED = Rows()


def rows(
    shape: tuple[int, ...], pitch: int | None = None, unit: str = "element", mask_repeat: int = 1, first_row: int = 0
) -> Rows:
    """Rows with checked values. In the library, 0 is the default of pitch and mask_repeat; here 0 is an error."""
    result = Rows(
        None if pitch is None else _library.integer(pitch, "pitch", 64),
        _library.choice(unit, "unit", UNITS) == UNITS["row"],
        _library.integer(mask_repeat, "mask_repeat", _SIZE_BITS),
        _library.integer(first_row, "first_row", 64),
    )
    if len(shape) < 2 and result.used:
        names = [name for name, default in Rows._field_defaults.items() if getattr(result, name) != default]
        name = names[0].replace("each_row", "unit='row'")
        raise BitdropValueError(f"{name} needs a matrix, whose columns are the last dimension; the shape is {shape}")
    if result.mask_repeat == 0:
        raise BitdropValueError("mask_repeat must be at least 1: it is the number of rows that share one mask row")
    if result.pitch is not None and result.each_row:
        raise BitdropValueError("pitch must be left out with unit='row': columns have no indices then")
    if result.pitch is not None and result.pitch < shape[-1]:
        raise BitdropValueError(f"pitch must be at least the {shape[-1]} columns, not {pitch}")
    return result


def mask_shapes(shape: tuple[int, ...], rows: Rows, by_rows: bool, marks: bool) -> list[tuple[int, ...]]:
    """The shapes that a mask may have. A new mask has the first one.

    Args:
        shape: shape of the data.
        rows: the options about rows.
        by_rows: whether the call makes masks by rows, because of its options about rows, strides or bias.
        marks: whether the mask has one bit for each element, whatever the options about rows are.
    """
    count, cols = rows_and_cols(shape)
    if rows.each_row and not marks:
        return [(row_bytes(rows.decisions(shape)),)]
    mask_rows = count if marks else rows.decisions(shape)
    matrix = (mask_rows, row_bytes(cols))
    if not by_rows:
        return [(row_bytes(count * cols),), matrix]
    if cols % 8 == 0 or mask_rows <= 1:  # a flat mask has the same bytes
        return [matrix, (math.prod(matrix),)]
    return [matrix]


def check_mask(mask: View, allowed: list[tuple[int, ...]], shape: tuple[int, ...], name: str = "mask") -> None:
    """An error unless a mask has one of the allowed shapes."""
    if mask.shape in allowed:
        return
    wanted = " or ".join(str(option) for option in dict.fromkeys(allowed))
    why = ""
    if len(allowed[0]) == 2:
        why = ": one mask row for each row with decisions of its own, because of strides, a bias or options about rows"
    raise BitdropValueError(f"{name} of data of shape {shape} must have shape {wanted}, not {mask.shape}{why}")


def shape_2d(
    shape: tuple[int, ...], rows: Rows | None, strides: tuple[int | None, ...] = (), mask: View | None = None
) -> _library.Shape2D:
    """A bitdrop_2d for a call.

    Args:
        shape: shape of the data.
        rows: the options about rows. None makes one row of all elements.
        strides: row strides of x, y and z; None for a contiguous one.
        mask: the mask in memory, or None.
    """
    if rows is None:
        return _library.Shape2D(rows=1, cols=math.prod(shape))
    count, cols = rows_and_cols(shape)
    x, y, z = (stride or 0 for stride in (*strides, None, None, None)[:3])
    return _library.Shape2D(
        rows=count,
        cols=cols,
        pitch=rows.pitch or 0,
        x_stride=x,
        y_stride=y,
        z_stride=z,
        mask_stride=mask.row_stride or 0 if mask is not None else 0,
        mask_repeat=rows.mask_repeat,
        first_row=rows.first_row,
        unit=UNITS["row"] if rows.each_row else UNITS["element"],
    )
