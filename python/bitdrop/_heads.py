# SPDX-License-Identifier: Apache-2.0
"""Arrays as attention sees them: [batch, heads, rows, elements], where the elements of a row are contiguous."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from . import _arrays
from ._arrays import Array
from .errors import BitdropTypeError, BitdropValueError

Shape = tuple[int, int, int, int]  # batch, heads, rows, elements
Strides = tuple[int, int, int]  # elements between samples, heads and rows


class Heads(NamedTuple):
    """The memory of an array. The address is valid while owner exists."""

    address: int
    dtype: str
    shape: Shape
    strides: Strides
    writable: bool
    owner: object

    @property
    def repeats(self) -> bool:
        """Whether a stride of 0 repeats elements."""
        return any(stride == 0 and length > 1 for stride, length in zip(self.strides, self.shape, strict=False))


def _dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides = [1]
    for length in reversed(shape[1:]):
        strides.insert(0, strides[0] * length)
    return tuple(strides)


def _strides(
    name: str, shape: tuple[int, ...], strides: tuple[int, ...] | None, *, repeated_rows: bool
) -> tuple[int, ...]:
    """Strides between samples, heads and rows.

    The stride of a dimension of length 1 has no effect. It is replaced by the stride of a dense array.
    """
    if strides is None or 0 in shape:
        return _dense(shape)[:-1]
    result = list(strides)
    for i in reversed(range(len(shape))):
        if shape[i] == 1:
            result[i] = result[i + 1] * shape[i + 1] if i + 1 < len(shape) else 1
    *between, step = result
    rows_overlap = between and between[-1] < shape[-1] and not (repeated_rows and between[-1] == 0)
    if step != 1 or min(result) < 0 or rows_overlap:
        raise BitdropValueError(
            f"{name} must have contiguous rows that do not overlap, and no negative strides: "
            f"pass a contiguous copy (shape {shape}, strides {strides} elements)"
        )
    return tuple(between)


def heads(x: Array, name: str) -> Heads:
    """A view of an input [batch, heads, rows, elements]."""
    address, dtype, shape, strides, writable, owner = _arrays.memory(x, name)
    _arrays.check_data(dtype, name)
    if len(shape) != 4:
        raise BitdropValueError(f"{name} must have the four dimensions batch, heads, rows, elements, not shape {shape}")
    batch, count, rows, elements = shape
    sample, head, row = _strides(name, shape, strides, repeated_rows=False)
    return Heads(address, dtype, (batch, count, rows, elements), (sample, head, row), writable, owner)


def like(x: Array, name: str, dtype: str, shape: Shape) -> Heads:
    """A view of an array, which must have that dtype and shape."""
    v = heads(x, name)
    if v.dtype != dtype or v.shape != shape:
        raise (BitdropTypeError if v.dtype != dtype else BitdropValueError)(
            f"{name} must be {dtype} of shape {shape}, not {v.dtype} of shape {v.shape}"
        )
    return v


def output(x: Array | None, name: str, dtype: str, shape: Shape, strides: Strides) -> tuple[Any, Heads]:
    """The argument x and its view, or a new array with those strides and its view if x is None."""
    if x is None:
        return _new(dtype, shape, strides)
    v = like(x, name, dtype, shape)
    _arrays.check_writable(v.writable, name)
    return x, v


def _new(dtype: str, shape: Shape, strides: Strides) -> tuple[Any, Heads]:
    kind = _arrays.numpy_dtype(dtype)
    steps = (*strides, 1)
    count = 0 if 0 in shape else 1 + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
    buffer = _arrays.empty(count * kind.itemsize, np.uint8)
    array: Any = np.ndarray(shape, kind, buffer, strides=[step * kind.itemsize for step in steps])
    return array, Heads(array.ctypes.data, dtype, shape, strides, True, array)


def check_strides(x: Heads, name: str, of: Heads, named: str) -> None:
    """An error unless two arrays have the same strides, because the library accepts one set of strides for both."""
    if x.strides != of.strides and 0 not in x.shape:
        raise BitdropValueError(
            f"{name} must have the strides of {named}, {of.strides} elements between samples, heads and rows, "
            f"not {x.strides}: copy one of them"
        )


def order_of(x: Heads, shape: Shape) -> Strides:
    """Strides of a dense array of that shape, whose dimensions have the same order in memory as those of x."""
    keys = (3, 2, 1) if x.repeats else x.strides
    strides, step = [0, 0, 0], shape[3]
    for i in sorted((2, 1, 0), key=lambda i: keys[i]):
        strides[i] = step
        step *= shape[i]
    return strides[0], strides[1], strides[2]


class Bias(NamedTuple):
    """The memory of a bias, which is added to the scores. The address is valid while owner exists."""

    address: int
    strides: Strides
    owner: object


def bias(x: Array, name: str, dtype: str, scores: Shape) -> Bias:
    """A view of a bias, which must broadcast to the scores and have all of their last dimension."""
    address, found, shape, strides, _, owner = _arrays.memory(x, name)
    _arrays.check_data(found, name)
    if found != dtype:
        raise BitdropTypeError(f"{name} must be {dtype} as q is, not {found}")
    wide = (1,) * (4 - len(shape)) + shape
    broadcasts = len(wide) == 4 and all(a in (1, b) for a, b in zip(wide, scores, strict=True))
    if not broadcasts or wide[3] != scores[3]:
        raise BitdropValueError(
            f"{name} must broadcast to the scores {scores} and have all of their last dimension, not shape {shape}"
        )
    between = (0,) * (4 - len(shape)) + _strides(name, shape, strides, repeated_rows=True)
    sample, head, row = (0 if length == 1 else step for length, step in zip(wide, between, strict=False))
    return Bias(address, (sample, head, row), owner)
