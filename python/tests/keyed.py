# SPDX-License-Identifier: Apache-2.0
"""Helpers of the tests of bitdrop.jax."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bitdrop import _library

DTYPES = {
    "float32": _library.F32,
    "float64": _library.F64,
    "float16": _library.F16,
    "bfloat16": _library.BF16,
}


def by_c(x: Any, p: float, seed: int, **fields: int) -> np.ndarray:
    x = np.array(x, order="C")
    y = np.empty_like(x)
    config = _library.Config(p=p, seed=seed, **fields)
    _library.recompute(config, DTYPES[str(x.dtype)], x.size, x.ctypes.data, y.ctypes.data)
    return y


def seed_of(key: Any) -> int:
    words = np.asarray(jax.random.key_data(key)).tolist()
    return words[0] << 32 | words[1]


def same(a: Any, b: Any) -> None:
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    bad = np.flatnonzero(a.view(np.uint8) != b.view(np.uint8)) if a.size and a.ndim else ()
    assert a.tobytes() == b.tobytes(), f"first differing byte: {bad[:1]}"


def numbers(*shape: int, dtype: Any = jnp.float32, key: int = 7) -> jax.Array:
    return jax.random.normal(jax.random.key(key), shape, dtype)


def start(cache: Path, program: str, **variables: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), **variables}
    path = [str(Path(_library.__file__).parents[1]), *sys.path]
    environment["PYTHONPATH"] = os.pathsep.join(path)
    command = [sys.executable, "-c", program]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def last_line(process: "subprocess.Popen[str]", code: int) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    return (out if code == 0 else err).strip()


if hasattr(jax, "enable_x64"):
    enable_x64 = jax.enable_x64
else:
    from jax.experimental import enable_x64 as enable_x64  # jax 0.5

KEY = jax.random.split(jax.random.key(3))[0]  # both words are large
KEYS = jax.random.split(jax.random.key(5), 4)
