# SPDX-License-Identifier: Apache-2.0
"""Arguments of the softmax calls: the bias, causal rows and lse."""

from __future__ import annotations

import ctypes
import math
from typing import NamedTuple

from . import _arrays, _library, _shapes
from ._arrays import Array, View
from .errors import BitdropTypeError, BitdropValueError

_SIZE_BITS = 8 * ctypes.sizeof(ctypes.c_size_t)


class Soft(NamedTuple):
    """Arguments of the softmax calls, not yet checked."""

    scale: float = 1.0
    bias_block: int | None = None
    bias_repeat: int | None = None
    causal_rows: int = 0
    causal_first: int = 0
    lse: Array | None = None


def _broadcast(bias: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, int]:
    """The bias_block and bias_repeat by which a bias broadcasts to a shape.

    One group of neighbouring dimensions of the bias may be 1, or may be left out if it comes first.
    """
    wanted = shape[:-1]
    padded = (1,) * (len(wanted) - len(bias) + 1) + bias[:-1]
    differ = [i for i, (a, b) in enumerate(zip(padded, wanted, strict=False)) if a != b]
    if not differ and len(padded) == len(wanted):
        return 0, 1
    first, last = (differ[0], differ[-1] + 1) if differ else (0, 0)
    if len(padded) != len(wanted) or any(padded[i] != 1 for i in range(first, last)):
        raise BitdropValueError(
            f"bias of shape {bias} does not broadcast to rows of shape {shape} in one group of dimensions: "
            f"pass bias_block and bias_repeat"
        )
    return math.prod(wanted[last:]), math.prod(wanted[first:last])


def _check_rows(bias: View, soft: _library.Softmax, count: int, first_row: int) -> None:
    """An error if the call would read rows past the end of the bias."""
    have = _shapes.rows_and_cols(bias.shape)[0]
    needed = count
    if count > 0 and soft.bias_block > 0:
        block, last = soft.bias_block, first_row + count - 1
        period = block * soft.bias_repeat
        needed = last // period * block + min(last % period + 1, block)
    if needed > have:
        raise BitdropValueError(f"bias has {have} rows, and the call needs {needed}")


def _block_and_repeat(soft: Soft) -> tuple[int, int] | None:
    """The arguments bias_block and bias_repeat with checked values; None if neither was passed."""
    if soft.bias_block is None and soft.bias_repeat is None:
        return None
    if soft.bias_block is None:
        raise BitdropTypeError("bias_block is needed with bias_repeat: it says how many rows are repeated")
    block = _library.integer(soft.bias_block, "bias_block", _SIZE_BITS)
    repeat = 1 if soft.bias_repeat is None else _library.integer(soft.bias_repeat, "bias_repeat", _SIZE_BITS)
    if block == 0 or repeat == 0:
        raise BitdropValueError("bias_block and bias_repeat must be at least 1")
    return block, repeat


def structure(soft: Soft, first: View, rows: _shapes.Rows, bias: View | None) -> _library.Softmax:
    """A bitdrop_softmax with checked values."""
    result = _library.Softmax(
        scale=_library.scale(soft.scale),
        causal_rows=_library.integer(soft.causal_rows, "causal_rows", 64),
        causal_first=_library.integer(soft.causal_first, "causal_first", 64, signed=True),
    )
    given = _block_and_repeat(soft)
    if bias is not None:
        block, repeat = given or _broadcast(bias.shape, first.shape)
        result.bias, result.bias_block, result.bias_repeat = bias.address, block, repeat
        result.bias_stride = bias.row_stride or 0
        _check_rows(bias, result, _shapes.rows_and_cols(first.shape)[0], rows.first_row)
    if soft.lse is not None:
        result.lse = _arrays.row_numbers(soft.lse, "lse", first.dtype, first.shape[:-1], written=True).address
    return result
