# SPDX-License-Identifier: Apache-2.0
"""Dropout for JAX on the CPU, under ``jit``, ``grad``, ``jvp``, ``vmap`` and ``jax.export``.

    from bitdrop.jax import dropout
    y = dropout(jax.random.key(42), x, 0.1)

The mask is that of a call of the C library with the same p, stream, offset and rounds, and with
the seed ``word[0] << 32 | word[1]``, where word is ``jax.random.key_data(key)``. Of keys with more
words (rbg), only the first two are used. Only the key is kept for the backward pass, which makes
the mask again: that takes less time than reading a mask, and XLA can reuse the memory. XLA's own
threads share the work on large arrays.

The first import compiles the handler, a small shared library that XLA calls, because it must be
built with the headers of the installed jaxlib. This needs a C++17 compiler: ``$CXX``, c++, g++ or
clang++. The handler is stored in ``$XDG_CACHE_HOME/bitdrop`` (or ``~/.cache/bitdrop``), and later
imports need no compiler.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .errors import BitdropTypeError, BitdropValueError, MissingPackageError

try:
    import jax
    import jax.ffi
    import jax.numpy as jnp
    import jaxlib.version
    import numpy as np
    from jax.extend.core import Primitive
    from jax.interpreters import ad, batching, mlir
except ImportError as error:
    raise MissingPackageError(
        f"bitdrop.jax needs JAX 0.5 or newer ({error}): pip install --upgrade jax jaxlib"
    ) from error

from . import _library

__all__ = ["dropout"]

_SOURCE = Path(__file__).with_name("_jax_handler.cc")
_FLAGS = ("-std=c++17", "-O2", "-DNDEBUG", "-fPIC", "-pthread", "-shared")
_DTYPES = tuple(jnp.dtype(t) for t in (jnp.float32, jnp.float64, jnp.float16, jnp.bfloat16))
_TARGET = "bitdrop_dropout"


# ---- The handler: compiled once for each jaxlib, then loaded and registered with XLA.


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME", "")  # its specification says: ignore a relative path
    return (Path(home) if os.path.isabs(home) else Path.home() / ".cache") / "bitdrop"


def _compiler() -> list[str]:
    wanted = os.environ.get("CXX", "").strip()
    for command in [wanted] if wanted else ["c++", "g++", "clang++"]:
        with contextlib.suppress(ValueError):  # shlex raises it for an unclosed quote
            words = shlex.split(command)
            if shutil.which(words[0]):
                return words
    found = f"CXX={wanted} is not a program" if wanted else "there is no c++, g++ or clang++ in PATH"
    raise ImportError(
        f"bitdrop.jax compiles its handler on first import, and {found}: install a C++17 compiler"
        " (Debian: apt install g++), or set CXX to one"
    )


def _compile(library: Path) -> None:
    """Compile the handler in a temporary folder and then move it to `library`: several imports may run at once."""
    include = jax.ffi.include_dir()
    if not Path(include, "xla/ffi/api/ffi.h").is_file():
        raise ImportError(
            f"bitdrop.jax needs xla/ffi/api/ffi.h, which jaxlib {jaxlib.version.__version__} lacks"
            f" in {include}: pip install --upgrade jax jaxlib"
        )
    compiler = _compiler()
    try:
        library.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="compile-", dir=library.parent) as folder:
            output = Path(folder, library.name)
            command = [*compiler, *_FLAGS, "-I", include, "-o", str(output), str(_SOURCE)]
            run = subprocess.run(command, capture_output=True, text=True, errors="replace")
            if run.returncode != 0 or not output.is_file():
                raise ImportError(
                    "bitdrop.jax could not compile its handler: set CXX to a C++17 compiler\n"
                    f"{shlex.join(command)}\n{run.stderr[-4000:]}"
                )
            output.replace(library)
    except OSError as error:
        raise ImportError(
            f"bitdrop.jax could not write its handler to {library.parent} ({error}):"
            " set XDG_CACHE_HOME to a folder that can be written to"
        ) from error


def _load() -> ctypes.CDLL:
    # CXX, and not the compiler found: a handler that was built once is then found on a machine without a compiler.
    parts = (
        jaxlib.version.__version__,
        platform.machine(),
        sys.platform,
        os.environ.get("CXX", "").strip(),
        *_FLAGS,
    )
    key = hashlib.sha256("\0".join(parts).encode() + b"\0" + _SOURCE.read_bytes()).hexdigest()
    library = _cache() / f"jax-{key[:32]}.so"
    if not library.is_file():
        _compile(library)
    try:
        handler = ctypes.CDLL(str(library))
    except OSError as error:
        raise ImportError(f"bitdrop.jax could not load its handler ({error}): delete it") from error
    handler.bitdrop_jax_init.restype = None
    handler.bitdrop_jax_init(
        ctypes.cast(_library.library.bitdrop_recompute, ctypes.c_void_p),
        ctypes.cast(_library.library.bitdrop_status_string, ctypes.c_void_p),
    )
    capsule = jax.ffi.pycapsule(handler.bitdrop_jax_dropout)
    jax.ffi.register_ffi_target(_TARGET, capsule, platform="cpu")
    return handler


_handler = _load()  # kept, because XLA calls into it


# ---- The function.


def _like_both(words: jax.Array, x: jax.Array) -> jax.Array:
    """The values of x. Under shard_map, the result varies over all mesh axes over which x or words varies."""
    return jnp.where(words[0] == 0, x, x)


# A primitive, because none of JAX's functions supports both modes of differentiation and vmap: custom_vjp refuses jvp,
# and linear_call refuses vmap. As in the handler, words is [batch..., 4] and x is [batch..., element...].
_dropout_p = Primitive(_TARGET)
mlir.register_lowering(_dropout_p, jax.ffi.ffi_lowering(_TARGET), platform="cpu")


@functools.partial(jax.jit, static_argnames=("p", "stream", "rounds"))
def _eager(words: jax.Array, x: jax.Array, **static: Any) -> jax.Array:
    return _dropout_p.bind(words, x, **static)


def _abstract(words: Any, x: Any, **static: Any) -> Any:
    return x.update(weak_type=False)


# Dropout is linear in x. So tangents and cotangents of any order are computed by the same call as x.
def _tangent(dx: jax.Array, words: jax.Array, x: jax.Array, **static: Any) -> jax.Array:
    return _dropout_p.bind(words, dx, **static)


def _cotangent(dy: jax.Array, words: jax.Array, x: Any, **static: Any) -> tuple[None, jax.Array]:
    return None, _dropout_p.bind(words, dy, **static)


def _batch(args: Any, dims: Any, **static: Any) -> tuple[jax.Array, int]:
    size = next(a.shape[dim] for a, dim in zip(args, dims, strict=True) if dim is not None)
    args = [batching.bdim_at_front(a, dim, size) for a, dim in zip(args, dims, strict=True)]
    return _dropout_p.bind(*args, **static), 0


_dropout_p.def_impl(_eager)
_dropout_p.def_abstract_eval(_abstract)
ad.deflinear2(_dropout_p, _cotangent)
ad.defjvp(_dropout_p, None, _tangent)  # replaces the jvp of deflinear2, which would be linear in words too
batching.primitive_batchers[_dropout_p] = _batch
with contextlib.suppress(ImportError):  # needed by shard_map of JAX 0.5; newer versions use the abstract value
    from jax.experimental.shard_map import (  # type: ignore[attr-defined]
        register_standard_check,
        register_standard_rewrite,
    )

    register_standard_check(_dropout_p)
    register_standard_rewrite(_dropout_p)


def _seed_words(key: Any) -> jax.Array:
    key = jnp.asarray(key)
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.shape != ():
            raise BitdropValueError(f"key must be one key, not {key.shape}: use jax.vmap for a batch")
        key = jax.random.key_data(key)
    if key.dtype != jnp.uint32:
        raise BitdropTypeError(f"key must come from jax.random.key, not be an array of {key.dtype}")
    if key.ndim != 1 or key.shape[0] < 2:
        raise BitdropValueError(f"key must be one key, not {key.shape} words: use jax.vmap for a batch")
    return key[:2]


def _offset_words(offset: Any, n: Any) -> jax.Array:
    if not isinstance(offset, jax.core.Tracer):
        offset = _library.integer(offset, "offset", 64)
        known = n if isinstance(n, int) else 1  # n is symbolic in jax.export: then the call checks the range
        if offset > 2**64 - known:
            raise BitdropValueError(f"offset must be in [0, 2**64 - {known}], not {offset}")
        return jnp.array([offset >> 32, offset & 0xFFFFFFFF], jnp.uint32)
    if not jnp.issubdtype(offset.dtype, jnp.integer) or offset.shape != ():
        raise BitdropTypeError(f"offset must be one integer, not {offset.dtype}{list(offset.shape)}")
    high = offset >> 32 if offset.dtype.itemsize == 8 else jnp.zeros((), jnp.uint32)
    return jnp.stack([high.astype(jnp.uint32), offset.astype(jnp.uint32)])


def dropout(key: Any, x: Any, p: float, *, stream: int = 0, offset: Any = 0, rounds: int = 10) -> jax.Array:
    """Set each element of x to 0 with probability p, and multiply the others by 1/(1-p) (Srivastava et al., 2014).

    Args:
        key: a key from ``jax.random.key`` or ``jax.random.PRNGKey``; may be traced. The same key
            gives the same mask: split it for tensors whose masks should be independent.
        x: array of float32, float64 (in x64 mode), float16 or bfloat16, of any shape.
        p: in [0, 1], used with a precision of 2^-64. A Python number: p, stream and rounds are
            static under jit.
        stream: in [0, 2^32). Different streams of one key are independent.
        offset: in [0, 2^64): index of x's first element in the stream. It may be traced if it is
            not negative. If each shard of a tensor passes its own offset, the shards together have
            the mask of the whole tensor.
        rounds: rounds of Philox, 10 or 7. 7 is faster.

    Returns:
        An array of x's shape and dtype.

    Raises:
        BitdropTypeError: an argument has a wrong type or dtype, or p is traced.
        BitdropValueError: an argument is out of range, or key is a batch of keys.

    The elements of x have indices in row-major order. Under vmap, each member of the batch has
    the bits of a call without vmap: one key makes the same mask for all members, and a batch of
    keys makes independent masks. Derivatives of any order exist, forward-mode and reverse-mode.

    jax.export refuses the handler unless it gets
    ``disabled_checks=[jax.export.DisabledSafetyCheck.custom_call("bitdrop_dropout")]``. A program
    must import bitdrop.jax before it calls the exported function. Shapes may be symbolic.

    Under jit, if x is sharded over a mesh, XLA gathers the shards first, because XLA does not know
    what the call does. Use jax.shard_map and pass the offset of each shard: the bits are those of
    the whole.
    """
    x = jnp.asarray(x)
    if x.dtype not in _DTYPES:
        raise BitdropTypeError(f"x must be float32, float64, float16 or bfloat16, not {x.dtype}: use x.astype")
    if isinstance(p, jax.core.Tracer):
        raise BitdropTypeError("p must be a Python number: mark it static (static_argnames) under jit")
    p = _library.probability(p)
    stream, rounds = _library.integer(stream, "stream", 32), _library.philox_rounds(rounds)
    words = jnp.concatenate([_seed_words(key), _offset_words(offset, x.size)])
    if jax.eval_shape(_like_both, words, x) != jax.eval_shape(jnp.positive, x):
        x = _like_both(words, x)  # the result varies over the same axes; the gradient of x is summed over the others
    # NumPy scalars, because a Python float would become a float32 unless JAX is in x64 mode.
    return _dropout_p.bind(words, x, p=np.float64(p), stream=np.uint32(stream), rounds=np.uint8(rounds))
