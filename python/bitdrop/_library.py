# SPDX-License-Identifier: Apache-2.0
"""The C library, loaded by ctypes, which releases the GIL during each call.

The functions have a Config and integer addresses as arguments. They do not check the addresses, and
raise an exception if the library returns an error status. Buffers must exist until the call returns,
and must have the sizes that bitdrop.h requires. _operations.py has the calls on rows and columns.
"""

from __future__ import annotations

import ctypes
import operator
import os
import sys
from collections.abc import Mapping
from ctypes import c_char_p, c_double, c_int, c_int64, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

from .errors import BitdropTypeError, BitdropValueError, shown

F32, F64, F16, BF16 = range(4)
SCALE_TRAIN, SCALE_INFER = range(2)
STORES_AUTO, STORES_CACHED, STORES_STREAMING = range(3)
ISA_AUTO, ISA_SCALAR, ISA_AVX2, ISA_AVX512, ISA_NEON = range(5)
MASK_STORED, MASK_REMADE = range(2)

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
    """bitdrop_config. ctypes silently truncates integers, so config() checks their ranges."""

    _fields_ = (
        ("p", c_double),
        ("seed", c_uint64),
        ("stream", c_uint32),
        ("reserved32", c_uint32),
        ("offset", c_uint64),
        ("rounds", c_uint8),
        ("scaling", c_uint8),
        ("stores", c_uint8),
        ("isa", c_uint8),
        ("mask_use", c_uint8),
        ("reserved8", c_uint8 * 3),
        ("parallel", c_void_p),
        ("reserved", c_uint64 * 2),
    )
    p: float
    seed: int
    stream: int
    offset: int
    rounds: int
    scaling: int
    stores: int
    isa: int
    mask_use: int
    parallel: int | None


class Shape2D(ctypes.Structure):
    """bitdrop_2d."""

    _fields_ = (
        ("rows", c_size_t),
        ("cols", c_size_t),
        ("pitch", c_uint64),
        ("x_stride", c_size_t),
        ("y_stride", c_size_t),
        ("z_stride", c_size_t),
        ("mask_stride", c_size_t),
        ("mask_repeat", c_size_t),
        ("first_row", c_uint64),
        ("unit", c_uint32),
        ("flags", c_uint32),
        ("reserved", c_uint64 * 3),
    )
    rows: int
    cols: int
    pitch: int
    x_stride: int
    y_stride: int
    z_stride: int
    mask_stride: int
    mask_repeat: int
    first_row: int
    unit: int
    flags: int

    def __str__(self) -> str:
        """The members that are not 0, as text for error messages."""
        values = {name: getattr(self, name) for name, _ in self._fields_ if name != "reserved"}
        return ", ".join(f"{name} = {value}" for name, value in values.items() if value or name in ("rows", "cols"))


class Softmax(ctypes.Structure):
    """bitdrop_softmax."""

    _fields_ = (
        ("scale", c_double),
        ("bias", c_void_p),
        ("bias_stride", c_size_t),
        ("bias_block", c_size_t),
        ("bias_repeat", c_size_t),
        ("causal_rows", c_uint64),
        ("causal_first", c_int64),
        ("lse", c_void_p),
        ("reserved", c_uint64 * 2),
    )
    scale: float
    bias: int | None
    bias_stride: int
    bias_block: int
    bias_repeat: int
    causal_rows: int
    causal_first: int
    lse: int | None


class Attention(ctypes.Structure):
    """bitdrop_attention."""

    _fields_ = (
        ("batch", c_size_t),
        ("heads", c_size_t),
        ("kv_heads", c_size_t),
        ("queries", c_size_t),
        ("keys", c_size_t),
        ("dim", c_size_t),
        ("v_dim", c_size_t),
        ("scale", c_double),
        ("q_strides", c_size_t * 3),
        ("k_strides", c_size_t * 3),
        ("v_strides", c_size_t * 3),
        ("out_strides", c_size_t * 3),
        ("bias", c_void_p),
        ("bias_strides", c_size_t * 3),
        ("causal", c_uint32),
        ("flags", c_uint32),
        ("causal_first", c_int64),
        ("index_heads", c_size_t),
        ("index_queries", c_size_t),
        ("index_keys", c_size_t),
        ("reserved", c_uint64 * 4),
    )
    batch: int
    heads: int
    kv_heads: int
    queries: int
    keys: int
    dim: int
    v_dim: int
    scale: float
    q_strides: ctypes.Array[c_size_t]
    k_strides: ctypes.Array[c_size_t]
    v_strides: ctypes.Array[c_size_t]
    out_strides: ctypes.Array[c_size_t]
    bias: int | None
    bias_strides: ctypes.Array[c_size_t]
    causal: int
    flags: int
    causal_first: int
    index_heads: int
    index_queries: int
    index_keys: int

    def __str__(self) -> str:
        """The members that are not 0, except the bias, as text for error messages."""
        parts = []
        for name, _ in self._fields_[:-1]:
            value = getattr(self, name)
            value = tuple(value) if isinstance(value, ctypes.Array) else value
            if value not in (None, 0, (0, 0, 0)) and name != "bias":
                parts.append(f"{name} = {value}")
        return ", ".join(parts)


class Parallel(ctypes.Structure):
    """bitdrop_parallel."""

    _fields_ = (("run", c_void_p), ("context", c_void_p), ("tasks", c_size_t), ("reserved", c_uint64 * 2))
    run: int | None
    context: int | None
    tasks: int


# ---- Loading.

_CURE = "install both again from one source, by pip install --force-reinstall"
VERSION = (0, 2)  # major and minor version of the library: the layouts of structures may differ in another one
_LAYOUTS = {"config": Config, "2d": Shape2D, "softmax": Softmax, "parallel": Parallel, "attention": Attention}


def check(loaded: Any) -> None:
    """Raise ImportError unless a library has the version and the layouts that this module was written for."""
    try:
        major, minor = divmod(loaded.bitdrop_version_number() // 100, 100)
        sizes = {name: getattr(loaded, f"bitdrop_sizeof_{name}") for name in _LAYOUTS}
    except AttributeError:
        found = "is older"
    else:
        found = f"is version {major}.{minor}" if (major, minor) != VERSION else ""
        for name, size in sizes.items():
            size.restype = c_size_t
            expected = ctypes.sizeof(_LAYOUTS[name])
            if not found and size() != expected:
                found = f"has a bitdrop_{name} of {size()} bytes and not of {expected}"
    if found:
        wanted = ".".join(map(str, VERSION))
        raise ImportError(f"bitdrop's C library {found}, and this package needs version {wanted}; {_CURE}")


def _load() -> ctypes.CDLL:
    # meson-python installs the library in a folder beside the package. Some systems keep compiled and pure packages in
    # different folders of sys.path. With python_system_library, the library is in the package itself.
    package = Path(__file__).parent
    folders = [package.parent, *map(Path, sys.path)]
    places = [package, *(folder / ".bitdrop.mesonpy.libs" for folder in folders)]
    files = (file for place in places for file in place.glob("*bitdrop.*"))
    try:
        loaded = ctypes.CDLL(str(next(file for file in files if file.suffix in (".so", ".dylib", ".dll"))))
    except StopIteration:
        searched = ", ".join(map(str, folders))
        raise ImportError(f"there is no C library of bitdrop in .bitdrop.mesonpy.libs of {searched}; {_CURE}") from None
    except OSError as error:
        raise ImportError(f"bitdrop's C library cannot be loaded ({error}); {_CURE}") from error
    check(loaded)
    return loaded


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
_math = _declare("bitdrop_math", c_char_p)


# ---- Calls.


def raise_status(status: int, function: Any, arguments: tuple[Any, ...]) -> None:
    """Raise an exception if status is not OK. Its text has the library's message and the arguments concerned."""
    if not status:
        return
    cfg = arguments[0]
    sizes = [str(value) for value in arguments if isinstance(value, (Shape2D, Attention))]
    sizes += [str(value) for kind, value in zip(function.argtypes, arguments, strict=False) if kind is c_size_t]
    size = sizes[0] if "=" in sizes[0] else f"n = {' x '.join(sizes)}"
    given = size
    if status == _ERR_DTYPE:
        given = f"dtype = {arguments[1]}"
    elif status == _ERR_ISA:
        given = f"isa = {_isa_name(cfg.isa).decode()}, BITDROP_ISA = {os.environ.get('BITDROP_ISA', '')!r}"
    elif status == _ERR_RANGE and isinstance(cfg, Config):
        given = f"offset = {cfg.offset}, {size}"
    message = f"{_status_string(status).decode()} ({given})"
    raise BitdropTypeError(message) if status == _ERR_DTYPE else BitdropValueError(message)


def declare_call(name: str, *argtypes: Any) -> Any:
    """A function of the library that returns a status. A status other than OK raises an exception."""
    function = _declare(name, c_int, *argtypes)
    function.errcheck = raise_status
    return function


# The flat calls, which bitdrop.torch and bitdrop.jax use: (config, dtype, n, address, ...).
_flat = (ctypes.POINTER(Config), c_int, c_size_t, c_void_p, c_void_p)
forward = declare_call("bitdrop_forward", *_flat, c_void_p)
backward = declare_call("bitdrop_backward", *_flat, c_void_p)
recompute = declare_call("bitdrop_recompute", *_flat)

# Attention: (config, dtype, structure, address, ...).
_attention = (ctypes.POINTER(Config), c_int, ctypes.POINTER(Attention))
attention_forward = declare_call("bitdrop_attention_forward", *_attention, *[c_void_p] * 7)
attention_backward = declare_call("bitdrop_attention_backward", *_attention, *[c_void_p] * 11)
attention_scratch_bytes = _declare("bitdrop_attention_scratch_bytes", c_size_t, *_attention)

# ---- Checks of values.


def probability(p: Any) -> float:
    """The argument p as a float. Raises an error if it is not a number in [0, 1]."""
    try:
        inside, result = bool(0 <= p <= 1), float(p)
    except ArithmeticError:  # a NaN of decimal has no order, and 10**400 is no float
        inside, result = False, float("nan")
    except Exception as error:  # text, an array, or an object whose methods raise
        raise BitdropTypeError(f"p must be a number in [0, 1], not {shown(p)}") from error
    if not (inside and 0 <= result <= 1):
        raise BitdropValueError(f"p must lie in [0, 1], not be {shown(p)}")
    return result


def integer(value: Any, name: str, bits: int, *, signed: bool = False) -> int:
    """Value as an int. Raises an error that names it unless it fits in that many bits, unsigned or signed."""
    try:
        result = operator.index(value)
    except Exception as error:
        raise BitdropTypeError(f"{name} must be an integer, not {shown(value)}") from error
    bits -= signed
    if not (-1 << bits if signed else 0) <= result < 1 << bits:
        low = f"-2**{bits}" if signed else "0"
        raise BitdropValueError(f"{name} must lie in [{low}, 2**{bits}), not be {shown(result)}")
    return result


def philox_rounds(value: Any) -> int:
    """Value as a number of rounds of Philox. Raises an error unless it is 7 or 10."""
    result = integer(value, "rounds", 64)
    if result not in (7, 10):
        raise BitdropValueError(f"rounds must be 7 or 10, not {result}")
    return result


def flag(value: Any, name: str) -> bool:
    """Value as a bool. Raises an error that names it if it has no truth value."""
    try:
        return bool(value)
    except Exception as error:  # for example, an array of several elements
        raise BitdropTypeError(f"{name} must be True or False, not {shown(value)}") from error


def scale(value: Any) -> float:
    """The scale of a softmax as a float. Raises an error unless it is finite and not 0, the library's default."""
    try:
        result = float(value + 0)  # float() alone would accept text; text + 0 raises TypeError
    except ArithmeticError:
        result = float("nan")
    except Exception as error:
        raise BitdropTypeError(f"scale must be a number, not {shown(value)}") from error
    if result == 0 or result - result != 0:
        raise BitdropValueError(f"scale must not be 0, infinite or a NaN, and is {shown(value)}")
    return result


def choice(value: Any, name: str, codes: Mapping[str, int]) -> int:
    """The code of a named value. Raises an error that lists the names if there is no such name."""
    if isinstance(value, str) and value in codes:
        return codes[value]
    raise BitdropValueError(f"{name} must be one of {', '.join(map(repr, codes))}, not {shown(value)}")


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
    remade: bool = False,
) -> Config:
    """A Config with checked values."""
    return Config(
        p=probability(p),
        seed=integer(seed, "seed", 64),
        stream=integer(stream, "stream", 32),
        offset=integer(offset, "offset", 64),
        rounds=philox_rounds(rounds),
        scaling=choice(scaling, "scaling", SCALINGS),
        stores=choice(stores, "stores", STORES),
        isa=ISA_AUTO if isa is None else choice(isa, "isa", ISAS),
        mask_use=MASK_REMADE if remade else MASK_STORED,
    )


def mask_bytes(n: int) -> int:
    """The number of bytes of a flat mask of n elements: ceil(n / 8)."""
    return int(_mask_bytes(integer(n, "n", 8 * ctypes.sizeof(c_size_t))))


def isa_default() -> str:
    """The instruction set that isa=None uses: "scalar", "avx2", "avx512" or "neon".

    Small calls on some Intel CPUs use "avx2" where this returns "avx512". If BITDROP_ISA names no instruction set that
    runs here, this returns "auto", and calls with isa=None raise an error.
    """
    return str(_isa_name(_isa_default()).decode())


def isa_supported(name: str) -> bool:
    """Whether the instruction set of that name ("scalar", "avx2", "avx512", "neon") is built in and runs on this CPU.

    Returns True for "auto". Raises BitdropValueError for another name.
    """
    return bool(_isa_supported(choice(name, "isa", ISAS)))


def version() -> str:
    """The version of the C library in use, "major.minor.patch"."""
    return str(_version().decode())


def math() -> str:
    """The library that computes exp and similar functions: "libm", or SLEEF with its version, "sleef 3.5.1".

    The version of SLEEF is the one that bitdrop was compiled with.
    """
    return str(_math().decode())
