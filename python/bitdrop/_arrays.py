# SPDX-License-Identifier: Apache-2.0
"""Arrays as the library sees them: an address, a dtype, a shape and a row stride."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _dlpack, _library
from ._dlpack import SupportsDLPack
from .errors import BitdropTypeError, BitdropValueError, MissingPackageError

Array = npt.NDArray[Any] | SupportsDLPack

CODES = {
    "float32": _library.F32,
    "float64": _library.F64,
    "float16": _library.F16,
    "bfloat16": _library.BF16,
}
# dtype.name takes a microsecond. Dtypes of the other byte order are not equal to these.
_NAMES = {np.dtype(name): name for name in ("float32", "float64", "float16", "uint8")}
_IMMUTABLE = ("jax", "jaxlib", "tensorflow")


class View(NamedTuple):
    """An array's memory, valid while owner lives."""

    address: int
    dtype: str
    shape: tuple[int, ...]
    row_stride: int | None  # elements between the rows of a matrix; None: contiguous
    writable: bool
    owner: object

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def view(x: Array, name: str) -> View:
    """The memory of a NumPy array or DLPack tensor, or an error that says what to change."""
    if isinstance(x, np.ndarray):
        return _view_numpy(x, name)
    if hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__"):
        return _view_dlpack(x, name)
    raise BitdropTypeError(f"{name} must be a NumPy array or a tensor with __dlpack__, not {type(x).__name__}")


def _view_numpy(x: npt.NDArray[Any], name: str) -> View:
    flags, itemsize = x.flags, x.itemsize
    row_stride = None
    if not flags.c_contiguous:
        if any(stride % itemsize for stride in x.strides):
            raise _not_contiguous(name, x.shape, x.strides, "bytes")
        row_stride = _row_stride(name, x.shape, tuple(s // itemsize for s in x.strides))
    dtype = _NAMES.get(x.dtype) or (x.dtype.name if x.dtype.isnative else str(x.dtype))
    address = x.ctypes.data
    _check_alignment(name, address, itemsize)
    return View(address, dtype, x.shape, row_stride, flags.writeable, x)


def _view_dlpack(x: SupportsDLPack, name: str) -> View:
    t = _dlpack.borrow(x, name)
    row_stride = None if t.strides is None else _row_stride(name, t.shape, t.strides)
    _check_alignment(name, t.address, t.itemsize)
    # Producers from before DLPack 1 do not say that their arrays must not be written.
    writable = t.writable and type(x).__module__.partition(".")[0] not in _IMMUTABLE
    return View(t.address, t.dtype, t.shape, row_stride, writable, t.capsule)


def _check_alignment(name: str, address: int, itemsize: int) -> None:
    if itemsize in (2, 4, 8) and address % itemsize:
        raise BitdropValueError(f"{name} is not aligned to its elements; copy it: {name}.copy()")


def _not_contiguous(name: str, shape: tuple[int, ...], strides: tuple[int, ...], unit: str) -> BitdropValueError:
    return BitdropValueError(
        f"{name} must be contiguous, or a matrix whose rows are and follow each other: "
        f"pass a contiguous copy, and of an output copy it back (shape {shape}, strides {strides} {unit})"
    )


def _row_stride(name: str, shape: tuple[int, ...], strides: tuple[int, ...]) -> int | None:
    """None of contiguous elements, else what lies between the rows of a matrix."""
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


def data(x: Array, name: str) -> View:
    """A view of what dropout is applied to."""
    v = view(x, name)
    if v.dtype not in CODES:
        raise BitdropTypeError(
            f"{name} must be float16, float32, float64 or bfloat16 of this machine's byte order, "
            f"not {v.dtype}: convert it, say to float32"
        )
    return v


def output(out: Array | None, like: View) -> tuple[Any, View]:
    """Out and its view; a new NumPy array where out is None."""
    if out is None:
        dtype = _bfloat16() if like.dtype == "bfloat16" else np.dtype(like.dtype)
        out = np.empty(like.shape, dtype)
        return out, View(out.ctypes.data, like.dtype, like.shape, None, True, out)
    v = data(out, "out")
    if v.shape != like.shape or v.dtype != like.dtype:
        raise (BitdropTypeError if v.dtype != like.dtype else BitdropValueError)(
            f"out must be {like.dtype} of shape {like.shape} as the input is, not {v.dtype} of shape {v.shape}"
        )
    _check_writable(v, "out")
    return out, v


def _bfloat16() -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError:
        raise MissingPackageError(
            "a NumPy result of bfloat16 needs ml_dtypes: pip install ml_dtypes, or pass out="
        ) from None
    bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return bfloat16


def _check_writable(v: View, name: str) -> None:
    if not v.writable:
        raise BitdropValueError(
            f"{name} cannot be written: it is read-only, immutable or exported as a copy; "
            f"pass another, or leave {name}= away"
        )


def mask_input(mask: Array, name: str = "mask") -> View:
    """A view of packed bits."""
    v = view(mask, name)
    if v.dtype != "uint8":
        raise BitdropTypeError(
            f"{name} must be uint8, one bit an element, not {v.dtype}; pack booleans by "
            f"numpy.packbits(..., bitorder='little')"
        )
    return v


def mask_output(mask: Array | None, shape: tuple[int, ...], name: str) -> tuple[Any, View]:
    """Mask and its view; a new one of that shape where mask is None."""
    if mask is None:
        mask = np.empty(shape, np.uint8)
        return mask, View(mask.ctypes.data, "uint8", shape, None, True, mask)
    v = mask_input(mask, name)
    _check_writable(v, name)
    return mask, v


def row_bytes(cols: int) -> int:
    """Bytes of cols bits."""
    return (cols + 7) // 8


def needs_rows(x: View, y: View, pitch: int | None) -> bool:
    """Whether a call is one on a matrix, whose mask by default has a row for each of its rows."""
    return pitch is not None or x.row_stride is not None or y.row_stride is not None


def matrix(x: View, y: View, mask: View | None, pitch: int | None) -> _library.Shape2D | None:
    """The shape for the library's 2-D call, or None for its flat one. Checks the mask's shape."""
    rows_wanted = needs_rows(x, y, pitch)
    if pitch is not None and len(x.shape) != 2:
        raise BitdropValueError(f"pitch is for matrices; the shape is {x.shape}")
    if mask is not None:
        check_mask_shape(mask, x.shape)
        if rows_wanted and len(mask.shape) == 1 and x.shape[1] % 8:
            raise BitdropValueError(
                f"mask must have a row for each row of a matrix with strides or pitch, unless "
                f"columns are a multiple of 8: shape {(x.shape[0], row_bytes(x.shape[1]))}"
            )
        rows_wanted = rows_wanted or len(mask.shape) == 2
    if not rows_wanted:
        return None
    mask_stride = (mask.row_stride or 0) if mask is not None else 0
    return shape_2d(x.shape, pitch, x.row_stride or 0, y.row_stride or 0, mask_stride)


def shape_2d(
    shape: tuple[int, ...], pitch: int | None, x_stride: int, y_stride: int, mask_stride: int
) -> _library.Shape2D:
    """A Shape2D. Its 0 for "dense" is not for callers, who leave pitch away."""
    rows, cols = shape
    if pitch is not None and _library.integer(pitch, "pitch", 64) < cols:
        raise BitdropValueError(f"pitch must be at least the {cols} columns, not {pitch}")
    return _library.Shape2D(rows, cols, pitch or 0, x_stride, y_stride, mask_stride)


def check_mask_shape(mask: View, shape: tuple[int, ...]) -> None:
    """A mask is flat, or that of a matrix has a row of bytes for each row."""
    flat = (row_bytes(math.prod(shape)),)
    rows = (shape[0], row_bytes(shape[1])) if len(shape) == 2 else flat
    if mask.shape not in (flat, rows):
        wanted = f"{flat}" if rows == flat else f"{flat} or {rows}"
        raise BitdropValueError(f"mask of data of shape {shape} must have shape {wanted}, not {mask.shape}")
