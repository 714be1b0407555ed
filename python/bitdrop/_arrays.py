# SPDX-License-Identifier: Apache-2.0
"""Arrays as the library sees them: an address, a dtype, a shape and a row stride."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _dlpack, _library
from ._dlpack import SupportsDLPack
from .errors import BitdropMemoryError, BitdropTypeError, BitdropValueError, MissingPackageError

Array = npt.NDArray[Any] | SupportsDLPack

CODES = {
    "float32": _library.F32,
    "float64": _library.F64,
    "float16": _library.F16,
    "bfloat16": _library.BF16,
}
# A lookup here is faster than dtype.name, which takes a microsecond. A dtype of the other byte order is not found.
_NAMES = {np.dtype(name): name for name in ("float32", "float64", "float16", "uint8")}
_IMMUTABLE = ("jax", "jaxlib", "tensorflow")


class View(NamedTuple):
    """The memory of an array. The address is valid while owner exists."""

    address: int
    dtype: str
    shape: tuple[int, ...]
    row_stride: int | None  # of a matrix: elements from the start of a row to the start of the next; None: contiguous
    writable: bool
    owner: object

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


# Address, dtype, shape, strides in elements (None: contiguous), whether it may be written, and what owns it.
_Memory = tuple[int, str, tuple[int, ...], tuple[int, ...] | None, bool, object]


def memory(x: Array | None, name: str) -> _Memory:
    """The memory of a NumPy array or DLPack tensor of any strides, or an error that says what to change."""
    if issubclass(type(x), np.ndarray):  # isinstance would trust x.__class__, which any object can define
        return _memory_numpy(x, name)  # type: ignore[arg-type]
    if x is not None and _speaks_dlpack(x):
        return _memory_dlpack(x, name)
    raise BitdropTypeError(f"{name} must be a NumPy array or a tensor with __dlpack__, not {type(x).__name__}")


def _speaks_dlpack(x: object) -> bool:
    try:
        return hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__")
    except Exception:  # __dlpack__ may be a property that raises
        return False


def _memory_numpy(x: npt.NDArray[Any], name: str) -> _Memory:
    if type(x) is not np.ndarray:
        if isinstance(x, np.ma.MaskedArray):
            raise BitdropTypeError(f"{name} must not be a masked array, whose mask would be lost: pass {name}.filled()")
        x = np.ndarray.view(x, np.ndarray)  # a subclass may override shape, flags or ctypes
    flags, itemsize = x.flags, x.itemsize or 1
    strides = None
    if not flags.c_contiguous:
        if any(stride % itemsize for stride in x.strides):
            raise _not_contiguous(name, x.shape, x.strides, "bytes")
        strides = tuple(s // itemsize for s in x.strides)
    dtype = _NAMES.get(x.dtype) or (x.dtype.name if x.dtype.isnative else str(x.dtype))
    address = x.ctypes.data
    _check_alignment(name, address, itemsize)
    return address, dtype, x.shape, strides, flags.writeable, x


def _memory_dlpack(x: SupportsDLPack, name: str) -> _Memory:
    t = _dlpack.borrow(x, name)
    _check_alignment(name, t.address, t.itemsize)
    # Producers older than DLPack 1 cannot mark an array as read-only.
    writable = t.writable and str(getattr(type(x), "__module__", "")).partition(".")[0] not in _IMMUTABLE
    return t.address, t.dtype, t.shape, t.strides, writable, t.capsule


def view(x: Array | None, name: str) -> View:
    """A view of contiguous elements or of rows, or an error that says what to change."""
    address, dtype, shape, strides, writable, owner = memory(x, name)
    row_stride = None if strides is None else _row_stride(name, shape, strides)
    return View(address, dtype, shape, row_stride, writable, owner)


def _check_alignment(name: str, address: int, itemsize: int) -> None:
    if itemsize in (2, 4, 8) and address % itemsize:
        raise BitdropValueError(f"{name} is not aligned to its elements; copy it: {name}.copy()")


def _not_contiguous(name: str, shape: tuple[int, ...], strides: tuple[int, ...], unit: str) -> BitdropValueError:
    return BitdropValueError(
        f"{name} must be contiguous, or a matrix whose rows are contiguous and in order: pass a contiguous copy, "
        f"and copy the result back if it is an output (shape {shape}, strides {strides} {unit})"
    )


def _row_stride(name: str, shape: tuple[int, ...], strides: tuple[int, ...]) -> int | None:
    """The row stride of a matrix in elements; None if all elements are contiguous."""
    expected = 1
    for length, stride in zip(reversed(shape), reversed(strides), strict=True):
        if length != 1 and stride != expected:
            break
        expected *= length
    else:
        return None
    if 0 in shape:
        return None
    if len(shape) != 2 or (shape[1] != 1 and strides[1] != 1) or strides[0] < shape[1]:
        raise _not_contiguous(name, shape, strides, "elements")
    return strides[0]


def data(x: Array | None, name: str) -> View:
    """A view of an array of one of the dtypes that dropout supports."""
    v = view(x, name)
    check_data(v.dtype, name)
    return v


def check_data(dtype: str, name: str) -> None:
    """An error unless dropout can be applied to that dtype."""
    if dtype not in CODES:
        raise BitdropTypeError(
            f"{name} must be float16, float32, float64 or bfloat16 of this machine's byte order, "
            f"not {dtype}: convert it, for example to float32"
        )


def _check_like(v: View, name: str, like: View) -> None:
    if v.shape != like.shape or v.dtype != like.dtype:
        raise (BitdropTypeError if v.dtype != like.dtype else BitdropValueError)(
            f"{name} must be {like.dtype} of shape {like.shape} as the input is, not {v.dtype} of shape {v.shape}"
        )


def matrix(x: Array, name: str, like: View) -> View:
    """A view of a further input, which must have the shape and dtype of the first."""
    v = data(x, name)
    _check_like(v, name, like)
    return v


def bias(x: Array, name: str, like: View) -> View:
    """A view of a bias that has one value for each column of the first input."""
    v = data(x, name)
    expected = like.shape[-1:] or (1,)
    if v.shape != expected or v.dtype != like.dtype:
        raise (BitdropTypeError if v.dtype != like.dtype else BitdropValueError)(
            f"{name} must be {like.dtype} of shape {expected}, a value for each column of the input, "
            f"not {v.dtype} of shape {v.shape}"
        )
    return v


def row_bias(x: Array, name: str, like: View) -> View:
    """A view of a bias that has rows. Its last dimension is that of the first input."""
    v = data(x, name)
    if v.dtype != like.dtype or v.shape[-1:] != (like.shape[-1:] or (1,)):
        raise (BitdropTypeError if v.dtype != like.dtype else BitdropValueError)(
            f"{name} must be {like.dtype} whose last dimension is that of the input, {like.shape[-1:] or (1,)}, "
            f"not {v.dtype} of shape {v.shape}"
        )
    return v


def row_numbers(x: Array, name: str, of: str, shape: tuple[int, ...], *, written: bool) -> View:
    """A view of an array with one number for each row of the data.

    Args:
        x: the array.
        name: its name in error messages.
        of: dtype of the data.
        shape: the shape that x must have: that of the data without the columns.
        written: whether the call writes to x.
    """
    v = data(x, name)
    dtype = row_number_dtype(of)
    if v.dtype != dtype or v.shape != shape or v.row_stride is not None:
        raise (BitdropTypeError if v.dtype != dtype else BitdropValueError)(
            f"{name} must be contiguous {dtype} of shape {shape}, not {v.dtype} of shape {v.shape}"
        )
    if written:
        check_writable(v.writable, name)
    return v


def row_number_dtype(of: str) -> str:
    """The dtype of one number for a whole row, for example its lse, where `of` is the dtype of the data."""
    return "float64" if of == "float64" else "float32"


def output(out: Array | None, like: View, name: str = "out") -> tuple[Any, View]:
    """The argument out and its view, or a new NumPy array and its view if out is None."""
    if out is None:
        return _new(like.shape, numpy_dtype(like.dtype), like.dtype)
    v = data(out, name)
    _check_like(v, name, like)
    check_writable(v.writable, name)
    return out, v


def empty(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """A new array whose elements are not set. Raises an error of this package if there is not enough memory."""
    try:
        return np.empty(shape, dtype)
    except MemoryError as error:
        raise BitdropMemoryError(f"{error}: pass fewer elements in one call") from error
    except (ValueError, OverflowError) as error:  # too many bytes or dimensions for NumPy
        raise BitdropValueError(f"NumPy cannot make an array of {np.dtype(dtype)}, shape {shape} ({error})") from error


def _new(shape: tuple[int, ...], dtype: npt.DTypeLike, name: str) -> tuple[Any, View]:
    array = empty(shape, dtype)
    return array, View(array.ctypes.data, name, shape, None, True, array)


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The dtype of data with that name."""
    return _bfloat16() if name == "bfloat16" else np.dtype(name)


def _bfloat16() -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError:
        raise MissingPackageError(
            "a NumPy result of bfloat16 needs ml_dtypes: pip install ml_dtypes, or pass out="
        ) from None
    bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return bfloat16


def check_writable(writable: bool, name: str) -> None:
    """An error unless an output is writable."""
    if not writable:
        raise BitdropValueError(
            f"{name} cannot be written: it is read-only, immutable or exported as a copy; "
            f"pass another, or leave out {name}="
        )


def mask_input(mask: Array | None, name: str = "mask") -> View:
    """A view of packed bits."""
    v = view(mask, name)
    if v.dtype != "uint8":
        raise BitdropTypeError(
            f"{name} must be uint8, one bit per element, not {v.dtype}; pack booleans by "
            f"numpy.packbits(..., bitorder='little')"
        )
    return v


def mask_output(mask: Array | None, shape: tuple[int, ...], name: str) -> tuple[Any, View]:
    """The argument mask and its view, or a new mask of that shape and its view if mask is None."""
    if mask is None:
        return _new(shape, np.uint8, "uint8")
    v = mask_input(mask, name)
    check_writable(v.writable, name)
    return mask, v


def flags(x: Array | None, name: str) -> View:
    """A view of an array of bool or uint8, which has one byte for each element."""
    v = view(x, name)
    if v.dtype not in ("bool", "uint8"):
        raise BitdropTypeError(f"{name} must be bool or uint8, one element a byte, not {v.dtype}: compare it with 0")
    return v


def flags_output(out: Array | None, shape: tuple[int, ...]) -> tuple[Any, View]:
    """The argument out and its view, or a new array of bool and its view if out is None."""
    if out is None:
        return _new(shape, np.bool_, "bool")
    v = flags(out, "out")
    if v.shape != shape:
        raise BitdropValueError(f"out must have shape {shape}, not {v.shape}")
    check_writable(v.writable, "out")
    return out, v
