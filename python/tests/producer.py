# SPDX-License-Identifier: Apache-2.0
"""A DLPack producer without a framework. It exports the memory of a NumPy array, with fields that a test may change."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

KINDS = {"f": 2, "u": 1, "i": 0, "b": 6}
Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
Destructor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
new_capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)


class DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
    )


class Managed(ctypes.Structure):
    _fields_ = (("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", DLTensor),
    )


class Tensor:
    """Exports an array; uint16 as bfloat16. dims and steps are the exported shape and strides, in elements.

    told_device is what __dlpack_device__ returns. Other changes are fields of DLTensor.
    """

    def __init__(self, array: npt.NDArray[Any], **changes: Any) -> None:
        self.array = array
        self.device = changes.pop("device", 1)
        self.told_device = changes.pop("told_device", self.device)
        self.versioned = changes.pop("versioned", True)
        self.flags = changes.pop("flags", 0)
        self.major = changes.pop("major", 1)
        self.name = changes.pop("name", None)
        self.null_strides = changes.pop("null_strides", False)
        self.dims = changes.pop("dims", array.shape)
        self.steps = changes.pop("steps", tuple(s // array.itemsize for s in array.strides))
        self.changes = changes
        self.exports = 0

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.told_device, 0

    def __dlpack__(self, **options: Any) -> Any:
        if not self.versioned and options:
            raise TypeError("unexpected keyword argument 'max_version'")
        a = self.array
        self.shape, self.strides = ((ctypes.c_int64 * max(len(ints), 1))(*ints) for ints in (self.dims, self.steps))
        code = 4 if a.dtype == np.uint16 else KINDS[a.dtype.kind]
        tensor = DLTensor(
            a.ctypes.data - 64, self.device, 0, len(self.dims), code, a.itemsize * 8, 1,
            ctypes.addressof(self.shape),
            None if self.null_strides else ctypes.addressof(self.strides), 64,
        )  # fmt: skip
        for name, value in self.changes.items():
            setattr(tensor, name, value)
        self.managed = (
            Versioned(self.major, 0, None, None, self.flags, tensor) if self.versioned else Managed(tensor, None, None)
        )
        self.exports += 1
        self.kind = self.name or (b"dltensor_versioned" if self.versioned else b"dltensor")
        return new_capsule(ctypes.addressof(self.managed), self.kind, None)
