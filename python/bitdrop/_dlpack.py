# SPDX-License-Identifier: Apache-2.0
"""Reads DLPack capsules, because numpy.from_dlpack does not support bfloat16.

A capsule is borrowed for one call. It is never renamed to "used_dltensor", so its own destructor
frees the tensor when the capsule is deleted.
"""

from __future__ import annotations

import ctypes
import math
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_uint8, c_uint16, c_uint32, c_uint64
from ctypes import c_void_p as pointer
from typing import Any, NamedTuple, Protocol

from .errors import BitdropTypeError, BitdropValueError, shown

CPU = 1
_READ_ONLY, _COPIED = 1, 2
_DEVICES = {2: "CUDA", 3: "CUDA host memory", 4: "OpenCL", 7: "Vulkan", 8: "Metal", 10: "ROCm"}
_DEVICES |= {11: "ROCm host memory", 13: "CUDA managed memory", 14: "oneAPI", 15: "WebGPU"}
_KINDS = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}
_MAX_DIMENSIONS = 64  # as in NumPy 2
_POINTER_BITS = 8 * ctypes.sizeof(pointer)


class SupportsDLPack(Protocol):
    """A tensor of any framework: torch.Tensor, jax.Array and so on."""

    def __dlpack__(self) -> Any: ...
    def __dlpack_device__(self) -> tuple[Any, Any]: ...


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", pointer),
        ("device_type", c_int32),
        ("device_id", c_int32),
        ("ndim", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", c_uint64),
    )


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("context", pointer), ("deleter", pointer))


class _Versioned(ctypes.Structure):
    _fields_ = (
        ("major", c_uint32),
        ("minor", c_uint32),
        ("context", pointer),
        ("deleter", pointer),
        ("flags", c_uint64),
        ("tensor", _Tensor),
    )


# Prototypes of our own, because argtypes set on ctypes.pythonapi would change it for all other users in the process.
_capsule_name = ctypes.PYFUNCTYPE(c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
_capsule_pointer = ctypes.PYFUNCTYPE(pointer, ctypes.py_object, c_char_p)(("PyCapsule_GetPointer", ctypes.pythonapi))


class Borrowed(NamedTuple):
    """The contents of a capsule, valid while the capsule exists. Strides are in elements, None for row-major order."""

    address: int
    dtype: str
    itemsize: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    writable: bool
    capsule: object


def _check_device(device: int, name: str) -> None:
    if device != CPU:
        where = _DEVICES.get(device, f"DLPack device {device}")
        raise BitdropValueError(f"{name} must be on the CPU, not on {where}; copy it there with {name}.cpu()")


def _export(x: Any, name: str) -> object:
    """The capsule of x. A versioned one if the producer supports it, because only that marks read-only data."""
    try:
        device = int(x.__dlpack_device__()[0])
        _check_device(device, name)
        try:
            return x.__dlpack__(max_version=(1, 0))
        except TypeError:  # a producer older than DLPack 1
            return x.__dlpack__()
    except BitdropValueError:
        raise
    except Exception as error:
        raise BitdropValueError(f"{name} cannot be exported through DLPack: {shown(error, str)}") from error


def _layout(t: _Tensor, name: str, itemsize: int) -> tuple[int, tuple[int, ...], tuple[int, ...] | None]:
    """Address, shape and strides in elements. Raises an error if no tensor in memory can have them."""

    def wrong(what: str) -> BitdropValueError:
        return BitdropValueError(
            f"{name}.__dlpack__() returned an impossible tensor: {what}; correct the producer, or pass a NumPy array"
        )

    if not 0 <= t.ndim <= _MAX_DIMENSIONS:
        raise wrong(f"it has {t.ndim} dimensions, not 0 to {_MAX_DIMENSIONS}")
    if t.ndim and not t.shape:
        raise wrong(f"its shape is NULL, and it has {t.ndim} dimensions")
    shape = tuple(t.shape[: t.ndim]) if t.ndim else ()
    strides = tuple(t.strides[: t.ndim]) if t.ndim and t.strides else None
    # NumPy's rule: an array without elements must still fit in memory if dimensions of length 0 are left out.
    if min(shape, default=0) < 0 or math.prod(n or 1 for n in shape) * itemsize >> (_POINTER_BITS - 1):
        raise wrong(f"its shape is {shape}")
    if 0 in shape:
        return 0, shape, strides
    address = (t.data or 0) + t.byte_offset
    reach = [(n - 1) * stride for n, stride in zip(shape, strides or (), strict=False)]
    before = -sum(step for step in reach if step < 0) * itemsize
    after = (sum(step for step in reach if step > 0) + 1 if strides else math.prod(shape)) * itemsize
    if not t.data or before >= address or (address + after) >> _POINTER_BITS or (before + after) >> (_POINTER_BITS - 1):
        raise wrong(f"its data at {t.data or 0:#x} + {t.byte_offset} have shape {shape} and strides {strides}")
    return address, shape, strides


def borrow(x: SupportsDLPack, name: str) -> Borrowed:
    """Address and layout of a CPU tensor. Nothing is copied."""
    capsule = _export(x, name)
    try:
        kind = _capsule_name(capsule)
    except ValueError:
        kind = None
    writable = True
    if kind == b"dltensor":
        address = _capsule_pointer(capsule, kind)
        t = _Managed.from_address(address).tensor
    elif kind == b"dltensor_versioned":
        address = _capsule_pointer(capsule, kind)
        managed = _Versioned.from_address(address)
        if managed.major != 1:
            raise BitdropValueError(f"{name} uses DLPack version {managed.major}, and only version 1 is supported")
        writable = not managed.flags & (_READ_ONLY | _COPIED)
        t = managed.tensor
    else:
        raise BitdropTypeError(
            f"{name}.__dlpack__() returned no DLPack capsule, or a used one: it must make a new one for each call"
        )
    _check_device(t.device_type, name)
    if t.lanes != 1 or t.bits % 8 or t.bits == 0:
        raise BitdropTypeError(f"{name} must have elements of whole bytes with one number in each")
    itemsize = t.bits // 8
    dtype = "bool" if (t.code, t.bits) == (6, 8) else _KINDS.get(t.code, f"type code {t.code}, bits ") + str(t.bits)
    address, shape, strides = _layout(t, name, itemsize)
    return Borrowed(address, dtype, itemsize, shape, strides, writable, capsule)
