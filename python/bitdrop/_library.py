# SPDX-License-Identifier: Apache-2.0
"""The C library by ctypes, which releases the GIL around each call.

The functions take a Config and integer addresses, which they trust, and raise on a bad status.
Buffers must stay alive, and of the size told, until they return. bitdrop.h is their contract.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import operator
import os
from collections.abc import Mapping
from ctypes import c_char_p, c_double, c_int, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from typing import Any

from .errors import BitdropTypeError, BitdropValueError

F32, F64, F16, BF16 = range(4)
SCALE_TRAIN, SCALE_INFER = range(2)
STORES_AUTO, STORES_CACHED, STORES_STREAMING = range(3)
ISA_AUTO, ISA_SCALAR, ISA_AVX2, ISA_AVX512, ISA_NEON = range(5)

SCALINGS = {"train": SCALE_TRAIN, "infer": SCALE_INFER}
STORES = {"auto": STORES_AUTO, "cached": STORES_CACHED, "streaming": STORES_STREAMING}
ISAS = {
    "auto": ISA_AUTO,
    "scalar": ISA_SCALAR,
    "avx2": ISA_AVX2,
    "avx512": ISA_AVX512,
    "neon": ISA_NEON,
}

_ERR_DTYPE, _ERR_ISA, _ERR_RANGE = 4, 5, 6


class Config(ctypes.Structure):
    """bitdrop_config. ctypes cuts integers to size silently: config() checks them."""

    _fields_ = (
        ("p", c_double),
        ("seed", c_uint64),
        ("offset", c_uint64),
        ("stream", c_uint32),
        ("rounds", c_uint8),
        ("scaling", c_uint8),
        ("stores", c_uint8),
        ("isa", c_uint8),
        ("parallel", c_void_p),
        ("reserved", c_uint64 * 3),
    )
    p: float
    seed: int
    offset: int
    stream: int
    rounds: int
    scaling: int
    stores: int
    isa: int
    parallel: int | None


class Shape2D(ctypes.Structure):
    """bitdrop_2d."""

    _fields_ = (
        ("rows", c_size_t),
        ("cols", c_size_t),
        ("pitch", c_uint64),
        ("x_stride", c_size_t),
        ("y_stride", c_size_t),
        ("mask_stride", c_size_t),
    )
    rows: int
    cols: int
    pitch: int
    x_stride: int
    y_stride: int
    mask_stride: int


def _load() -> ctypes.CDLL:
    try:
        files = importlib.metadata.files("bitdrop") or ()
        # Where meson-python puts it. Systems that keep pure and compiled packages apart have it elsewhere than this.
        inside = (file for file in files if file.parent.name == ".bitdrop.mesonpy.libs")
        return ctypes.CDLL(str(next(file for file in inside if file.suffix in (".so", ".dylib", ".dll")).locate()))
    except (importlib.metadata.PackageNotFoundError, StopIteration, OSError) as error:
        raise ImportError(f"bitdrop's C library cannot be loaded; install it by pip: {error!r}") from error


library = _load()


def _declare(name: str, restype: Any, *argtypes: Any) -> Any:
    function = getattr(library, name)
    function.restype = restype
    function.argtypes = argtypes
    return function


_mask_bytes = _declare("bitdrop_mask_bytes", c_size_t, c_size_t)
_isa_default = _declare("bitdrop_isa_default", c_int)
_isa_supported = _declare("bitdrop_isa_supported", c_int, c_int)
_isa_name = _declare("bitdrop_isa_name", c_char_p, c_int)
_status_string = _declare("bitdrop_status_string", c_char_p, c_int)
_version = _declare("bitdrop_version", c_char_p)


def raise_status(status: int, function: Any, arguments: tuple[Any, ...]) -> None:
    """The exception of a status other than OK: what the library says, and what it was given."""
    if not status:
        return
    cfg, extent = arguments[0], arguments[1 if function in (mask, mask_2d) else 2]
    if isinstance(extent, Shape2D):
        size = ", ".join(f"{name} = {getattr(extent, name)}" for name, _ in Shape2D._fields_)
    else:
        size = f"n = {extent}"
    given = {
        _ERR_DTYPE: f"dtype = {arguments[1]}",
        _ERR_ISA: f"isa = {_isa_name(cfg.isa).decode()}, BITDROP_ISA = {os.environ.get('BITDROP_ISA', '')!r}",
        _ERR_RANGE: f"offset = {cfg.offset}, {size}",
    }.get(status, size)
    message = f"{_status_string(status).decode()} ({given})"
    raise BitdropTypeError(message) if status == _ERR_DTYPE else BitdropValueError(message)


def _declare_call(name: str, *argtypes: Any) -> Any:
    function = _declare(name, c_int, ctypes.POINTER(Config), *argtypes)
    function.errcheck = raise_status
    return function


# (config, dtype, n or shape, address, ...), as the library has them.
_shape = ctypes.POINTER(Shape2D)
mask = _declare_call("bitdrop_mask", c_size_t, c_void_p)
mask_2d = _declare_call("bitdrop_mask_2d", _shape, c_void_p)
forward = _declare_call("bitdrop_forward", c_int, c_size_t, c_void_p, c_void_p, c_void_p)
forward_2d = _declare_call("bitdrop_forward_2d", c_int, _shape, c_void_p, c_void_p, c_void_p)
backward = _declare_call("bitdrop_backward", c_int, c_size_t, c_void_p, c_void_p, c_void_p)
backward_2d = _declare_call("bitdrop_backward_2d", c_int, _shape, c_void_p, c_void_p, c_void_p)
recompute = _declare_call("bitdrop_recompute", c_int, c_size_t, c_void_p, c_void_p)
recompute_2d = _declare_call("bitdrop_recompute_2d", c_int, _shape, c_void_p, c_void_p)
infer = _declare_call("bitdrop_infer", c_int, c_size_t, c_void_p, c_void_p)
infer_2d = _declare_call("bitdrop_infer_2d", c_int, _shape, c_void_p, c_void_p)


def probability(p: Any) -> float:
    """P as a float, or an error."""
    try:
        if 0 <= p <= 1:
            return float(p)
    except (TypeError, ValueError):  # text, or an array
        raise BitdropTypeError(f"p must be a number in [0, 1], not {p!r}") from None
    raise BitdropValueError(f"p must lie in [0, 1], not be {p!r}")


def integer(value: Any, name: str, bits: int) -> int:
    """Value as an unsigned integer of so many bits, or an error that names it."""
    try:
        result = operator.index(value)
    except TypeError:
        raise BitdropTypeError(f"{name} must be an integer, not {value!r}") from None
    if not 0 <= result < 1 << bits:
        raise BitdropValueError(f"{name} must lie in [0, 2**{bits}), not be {result}")
    return result


def choice(value: Any, name: str, codes: Mapping[str, int]) -> int:
    """The code of a named value, or an error that lists the names."""
    if isinstance(value, str) and value in codes:
        return codes[value]
    raise BitdropValueError(f"{name} must be one of {', '.join(map(repr, codes))}, not {value!r}")


def config(
    p: float,
    *,
    seed: int = 0,
    stream: int = 0,
    offset: int = 0,
    rounds: int = 10,
    scaling: str = "train",
    stores: str = "auto",
    isa: str | None = None,
) -> Config:
    """A Config of checked values."""
    if integer(rounds, "rounds", 64) not in (7, 10):
        raise BitdropValueError(f"rounds must be 7 or 10, not {rounds!r}")
    return Config(
        probability(p),
        integer(seed, "seed", 64),
        integer(offset, "offset", 64),
        integer(stream, "stream", 32),
        rounds,
        choice(scaling, "scaling", SCALINGS),
        choice(stores, "stores", STORES),
        ISA_AUTO if isa is None else choice(isa, "isa", ISAS),
    )


def mask_bytes(n: int) -> int:
    """Bytes of a flat mask of n elements: ceil(n / 8)."""
    return int(_mask_bytes(integer(n, "n", 8 * ctypes.sizeof(c_size_t))))


def isa_default() -> str:
    """The ISA that isa=None stands for, but for small calls on Intel; "auto" while BITDROP_ISA is wrong."""
    return str(_isa_name(_isa_default()).decode())


def isa_supported(name: str) -> bool:
    """Whether that ISA ("scalar", "avx2", "avx512", "neon") is built in and runs on this CPU."""
    return bool(_isa_supported(choice(name, "isa", ISAS)))


def version() -> str:
    """Version of the library that runs, "major.minor.patch"."""
    return str(_version().decode())
