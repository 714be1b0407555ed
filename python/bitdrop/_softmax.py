# SPDX-License-Identifier: Apache-2.0
"""What the softmax calls are told of their rows."""

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
    """The block and the repeat by which a bias broadcasts: one group of its dimensions may be left out, or be 1."""
    wanted = shape[:-1]
    have = (1,) * (len(wanted) - len(bias) + 1) + bias[:-1]
    differ = [i for i, (a, b) in enumerate(zip(have, wanted, strict=False)) if a != b]
    if not differ and len(have) == len(wanted):
        return 0, 1
    first, last = (differ[0], differ[-1] + 1) if differ else (0, 0)
    if len(have) != len(wanted) or any(have[i] != 1 for i in range(first, last)):
        raise BitdropValueError(
            f"bias of shape {bias} does not broadcast to rows of shape {shape} in one group of dimensions: "
            f"pass bias_block and bias_repeat"
        )
    return math.prod(wanted[last:]), math.prod(wanted[first:last])


def _check_rows(bias: View, soft: _library.Softmax, count: int, first_row: int) -> None:
    """An error if a row of the bias would be taken that is not there."""
    have = _shapes.rows_and_cols(bias.shape)[0]
    needed = count
    if count > 0 and soft.bias_block > 0:
        block, last = soft.bias_block, first_row + count - 1
        period = block * soft.bias_repeat
        needed = last // period * block + min(last % period + 1, block)
    if needed > have:
        raise BitdropValueError(f"bias has {have} rows, and the call takes {needed} of them")


def _given(soft: Soft) -> tuple[int, int] | None:
    """The block and the repeat of a call, None where it has neither."""
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
    """The library's structure, of checked values."""
    result = _library.Softmax(
        scale=_library.scale(soft.scale),
        causal_rows=_library.integer(soft.causal_rows, "causal_rows", 64),
        causal_first=_library.integer(soft.causal_first, "causal_first", 64, signed=True),
    )
    given = _given(soft)
    if bias is not None:
        block, repeat = given or _broadcast(bias.shape, first.shape)
        result.bias, result.bias_block, result.bias_repeat = bias.address, block, repeat
        result.bias_stride = bias.row_stride or 0
        _check_rows(bias, result, _shapes.rows_and_cols(first.shape)[0], rows.first_row)
    if soft.lse is not None:
        result.lse = _arrays.row_numbers(soft.lse, "lse", first.dtype, first.shape[:-1], written=True).address
    return result
