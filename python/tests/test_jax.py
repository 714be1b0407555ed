# SPDX-License-Identifier: Apache-2.0
"""bitdrop.jax against the C library: the same bits, under every transformation."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

import jax
import jax.numpy as jnp

from bitdrop import _library
from bitdrop.jax import dropout

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
    from jax.experimental import enable_x64  # jax 0.5

KEY = jax.random.split(jax.random.key(3))[0]  # both words are large
KEYS = jax.random.split(jax.random.key(5), 4)


# ---- The same bits as the C library.


def test_seed_is_the_words_of_the_key() -> None:
    assert seed_of(jax.random.key(42)) == 42
    x = np.arange(1, 9, dtype=np.float32)
    y = dropout(jax.random.key(42), x, 0.5)
    assert y.tolist() == [2, 4, 0, 0, 10, 0, 14, 0]  # as the README's program prints


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (7,), (5, 3, 129), (4100,)])
@pytest.mark.parametrize("p", [0.0, 1e-3, 0.1, 0.5, 1.0])
def test_dtypes_shapes_and_p(dtype: str, shape: tuple[int, ...], p: float) -> None:
    x = numbers(*shape, dtype=jnp.dtype(dtype))
    same(dropout(KEY, x, p), by_c(x, p, seed_of(KEY)))


def test_float64_and_64_bit_offsets_under_x64() -> None:
    with enable_x64(True):
        x = numbers(1000, dtype=jnp.float64)
        assert x.dtype == jnp.float64
        same(dropout(KEY, x, 0.3), by_c(x, 0.3, seed_of(KEY)))
        call = jax.jit(lambda offset: dropout(KEY, x, 0.3, offset=offset))
        big = 2**40 + 12345
        same(call(jnp.uint64(big)), by_c(x, 0.3, seed_of(KEY), offset=big))


@pytest.mark.parametrize("p", [0.1, 1 / 3, 2.0**-12 + 2.0**-50])
def test_p_is_not_rounded_to_float(p: float) -> None:
    # The elements that p and float32(p) treat differently are too few to meet, but the scales tell.
    with enable_x64(True):
        x = jnp.ones(64, jnp.float64)
        same(dropout(KEY, x, p), by_c(x, p, seed_of(KEY)))


@pytest.mark.parametrize(
    "fields",
    [
        {"stream": 1},
        {"stream": 2**32 - 1},
        {"rounds": 7},
        {"offset": 5},
        {"offset": 2**64 - 500},
        {"stream": 9, "offset": 2**33 + 1, "rounds": 7},
    ],
)
def test_stream_offset_and_rounds(fields: dict[str, int]) -> None:
    x = numbers(500)
    y = dropout(KEY, x, 0.4, **fields)
    same(y, by_c(x, 0.4, seed_of(KEY), **fields))
    assert y.tolist() != dropout(KEY, x, 0.4).tolist()


def test_threads_do_not_change_bits() -> None:
    """XLA's threads share out large arrays: cut at no multiple of anything, and many calls at once."""
    x = numbers(5, 131_071)
    same(dropout(KEY, x, 0.3), by_c(x, 0.3, seed_of(KEY)))
    rows = jax.vmap(dropout, (0, None, None))(KEYS, x, 0.3)
    for row, key in zip(rows, KEYS, strict=True):
        same(row, by_c(x, 0.3, seed_of(key)))

    call = jax.jit(lambda key: dropout(key, x, 0.5))
    keys = list(jax.random.split(KEY, 32))
    with ThreadPoolExecutor(16) as pool:
        for key, y in zip(keys, pool.map(call, keys), strict=True):
            same(y, by_c(x, 0.5, seed_of(key)))


def test_what_is_dropped_is_plus_zero_whatever_it_was() -> None:
    x = jnp.array([jnp.nan, jnp.inf, -jnp.inf, -1.0] * 64)
    assert not np.asarray(dropout(KEY, x, 1.0)).view(np.uint32).any()
    same(dropout(KEY, x, 0.5), by_c(x, 0.5, seed_of(KEY)))


def test_elements_are_numbered_in_row_major_order_of_the_value() -> None:
    x = numbers(33, 65)
    call = jax.jit(lambda x: dropout(KEY, x.T, 0.5))
    same(call(x), by_c(np.asarray(x).T, 0.5, seed_of(KEY)))


def test_kinds_of_keys() -> None:
    x = numbers(300)
    same(dropout(jax.random.PRNGKey(2**31 + 5), x, 0.5), by_c(x, 0.5, 2**31 + 5))
    same(dropout(jax.random.key_data(KEY), x, 0.5), dropout(KEY, x, 0.5))
    rbg = jax.random.split(jax.random.key(1, impl="rbg"))[1]
    same(dropout(rbg, x, 0.5), by_c(x, 0.5, seed_of(rbg)))


def test_same_key_same_mask_and_another_key_another() -> None:
    x = numbers(1000)
    same(dropout(KEY, x, 0.5), dropout(KEY, x, 0.5))
    a, b = (np.asarray(dropout(k, x, 0.5)) != 0 for k in KEYS[:2])
    assert 400 < np.count_nonzero(a != b) < 600


# ---- Transformations.


def test_jit_with_a_traced_key_and_offset() -> None:
    x = numbers(10, 50)
    call = jax.jit(lambda key, x, offset: dropout(key, x, 0.2, stream=3, offset=offset))
    for key in KEYS[:2]:
        for offset in (0, 77):
            expected = by_c(x, 0.2, seed_of(key), stream=3, offset=offset)
            same(call(key, x, offset), expected)


def test_jit_does_not_compile_again_for_another_key() -> None:
    traces = []

    @jax.jit
    def call(key: jax.Array, x: jax.Array) -> jax.Array:
        traces.append(1)
        return dropout(key, x, 0.2)

    for key in KEYS:
        call(key, numbers(10))
    assert len(traces) == 1


def test_p_is_static_under_jit() -> None:
    call = jax.jit(dropout, static_argnames="p")
    x = numbers(100)
    for p in (0.25, 0.75):
        same(call(KEY, x, p=p), by_c(x, p, seed_of(KEY)))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_grad_is_the_mask_on_the_cotangent(dtype: str) -> None:
    x, dy = (numbers(5, 99, dtype=jnp.dtype(dtype), key=k) for k in (1, 2))
    fields = {"stream": 2, "offset": 64, "rounds": 7}
    y, pull = jax.vjp(lambda x: dropout(KEY, x, 0.3, **fields), x)
    same(y, by_c(x, 0.3, seed_of(KEY), **fields))
    same(pull(dy)[0], by_c(dy, 0.3, seed_of(KEY), **fields))


def test_grad_of_a_grad() -> None:
    x = numbers(200)
    scale = by_c(np.ones(200, np.float32), 0.3, seed_of(KEY))

    def loss(x: jax.Array) -> jax.Array:
        return (dropout(KEY, x, 0.3) ** 3).sum()

    second = jax.grad(lambda x: jax.grad(loss)(x).sum())(x)
    np.testing.assert_allclose(second, 6 * scale**3 * np.asarray(x), rtol=1e-5)


def test_grad_through_a_jitted_scan_and_a_checkpoint() -> None:
    x = numbers(64)

    def body(x: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
        return dropout(key, x, 0.1), None

    def loss(x: jax.Array, keys: jax.Array) -> jax.Array:
        return jax.lax.scan(jax.checkpoint(body), x, keys)[0].sum()

    expected = np.ones(64, np.float32)
    for key in KEYS[::-1]:
        expected = by_c(expected, 0.1, seed_of(key))
    same(jax.jit(jax.grad(loss))(x, KEYS), expected)


def test_vmap_over_x_has_one_mask() -> None:
    x = numbers(4, 3, 37)
    y = jax.vmap(lambda x: dropout(KEY, x, 0.5))(x)
    same(y, np.stack([by_c(row, 0.5, seed_of(KEY)) for row in np.asarray(x)]))


def test_vmap_over_another_axis() -> None:
    x = numbers(37, 4)
    y = jax.vmap(lambda x: dropout(KEY, x, 0.5), in_axes=1, out_axes=1)(x)
    rows = [by_c(row, 0.5, seed_of(KEY)) for row in np.asarray(x).T]
    same(y, np.stack(rows, axis=1))


def test_vmap_over_keys() -> None:
    x = numbers(111)
    y = jax.vmap(lambda key: dropout(key, x, 0.5))(KEYS)
    same(y, np.stack([by_c(x, 0.5, seed_of(key)) for key in KEYS]))


def test_vmap_over_both_and_offsets_and_nested() -> None:
    x = numbers(4, 3, 50)
    offsets = jnp.array([0, 50, 100])

    def one(key: jax.Array, x: jax.Array, offset: jax.Array) -> jax.Array:
        return dropout(key, x, 0.5, offset=offset)

    y = jax.vmap(jax.vmap(one, in_axes=(None, 0, 0)), in_axes=(0, 0, None))(KEYS, x, offsets)
    for i, key in enumerate(KEYS):
        same(y[i].ravel(), by_c(np.asarray(x)[i].ravel(), 0.5, seed_of(key)))


def test_jit_of_vmap_of_grad() -> None:
    x = numbers(4, 90)
    gradients = jax.jit(jax.vmap(jax.grad(lambda x, key: (dropout(key, x, 0.2)).sum())))(x, KEYS)
    ones = np.ones(90, np.float32)
    same(gradients, np.stack([by_c(ones, 0.2, seed_of(key)) for key in KEYS]))


def test_vmap_of_nothing() -> None:
    x = jnp.zeros((4, 0))
    assert jax.vmap(lambda x: dropout(KEY, x, 0.5))(x).shape == (4, 0)
    assert jax.vmap(lambda k, x: dropout(k, x, 0.5))(KEYS[:0], jnp.zeros((0, 4))).shape == (0, 4)


SHARDED = """
import bitdrop.jax as b, jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
try:
    from jax import shard_map
except ImportError:
    from jax.experimental.shard_map import shard_map
mesh, key = Mesh(np.array(jax.devices()), "d"), jax.random.key(3)
x = jnp.arange(1, 17.0).reshape(2, 8)

def whole(x):
    return b.dropout(key, x, 0.3)

def shard(x):
    return b.dropout(key, x, 0.3, offset=8 * jax.lax.axis_index("d"))

sharded = shard_map(shard, mesh=mesh, in_specs=P("d"), out_specs=P("d"))
assert (sharded(x) == whole(x)).all()
gradient = jax.grad(lambda x: (sharded(x) ** 2).sum())(x)
assert (gradient == jax.grad(lambda x: (whole(x) ** 2).sum())(x)).all()

def keys_differ(x):
    return b.dropout(jax.random.fold_in(key, jax.lax.axis_index("d")), x, 0.3)

summed = shard_map(lambda x: jax.lax.psum(keys_differ(x), "d"), mesh=mesh, in_specs=P(), out_specs=P())
gradient = jax.grad(lambda x: summed(x).sum())(jnp.ones(8))
expected = sum(b.dropout(jax.random.fold_in(key, i), jnp.ones(8), 0.3) for i in range(2))
assert (gradient == expected).all(), (gradient, expected)
if hasattr(jax, "shard_map"):
    try:
        shard_map(shard, mesh=mesh, in_specs=P("d"), out_specs=P())(x)
        print("not refused")
    except ValueError as error:
        print("replicat" in str(error))
else:
    print(True)
"""


def test_shard_map(tmp_path: Path) -> None:
    process = start(tmp_path, SHARDED, XLA_FLAGS="--xla_force_host_platform_device_count=2")
    assert last_line(process, 0) == "True"


# ---- Errors.

X = jnp.ones(4)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: dropout(KEY, jnp.ones(4, jnp.int32), 0.5), TypeError, "float32, float64"),
        (lambda: dropout(KEY, jnp.ones(4, jnp.complex64), 0.5), TypeError, "x.astype"),
        (lambda: dropout(KEY, X, -0.1), ValueError, "p must lie in"),
        (lambda: dropout(KEY, X, 1.1), ValueError, "p must lie in"),
        (lambda: dropout(KEY, X, float("nan")), ValueError, "p must lie in"),
        (lambda: jax.jit(dropout)(KEY, X, 0.5), TypeError, "static"),
        (lambda: dropout(KEY, X, None), TypeError, "p must be a number"),
        (lambda: dropout(42, X, 0.5), TypeError, r"jax\.random\.key"),
        (lambda: dropout(KEYS, X, 0.5), ValueError, r"jax\.vmap"),
        (lambda: dropout(jax.random.key_data(KEYS), X, 0.5), ValueError, r"jax\.vmap"),
        (lambda: dropout(jnp.zeros(1, jnp.uint32), X, 0.5), ValueError, "one key"),
        (lambda: dropout(KEY, X, 0.5, stream=-1), ValueError, "stream"),
        (lambda: dropout(KEY, X, 0.5, stream=2**32), ValueError, "stream"),
        (lambda: dropout(KEY, X, 0.5, rounds=8), ValueError, "rounds must be 10 or 7"),
        (lambda: dropout(KEY, X, 0.5, offset=-1), ValueError, "offset"),
        (lambda: dropout(KEY, X, 0.5, offset=2**64 - 3), ValueError, "offset"),
        (lambda: dropout(KEY, X, 0.5, offset=1.5), TypeError, "integer"),
        (lambda: jax.jit(lambda o: dropout(KEY, X, 0.5, offset=o))(1.5), TypeError, "one integer"),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


def test_what_only_the_library_sees_is_an_exception_too() -> None:
    with enable_x64(True):
        call = jax.jit(lambda offset: dropout(KEY, X, 0.5, offset=offset))
        with pytest.raises(jax.errors.JaxRuntimeError, match=r"bitdrop: .*offset"):
            call(jnp.uint64(2**64 - 3)).block_until_ready()


# ---- The first import, in processes of their own.

IMPORT = "import bitdrop.jax as b, jax; print(b.dropout(jax.random.key(42), jax.numpy.ones(8), .5))"


def test_concurrent_first_imports_share_one_handler(tmp_path: Path) -> None:
    for process in [start(tmp_path, IMPORT, CXX="") for _ in range(2)]:
        assert last_line(process, 0) == "[2. 2. 0. 0. 2. 0. 2. 0.]"
    (library,) = (tmp_path / "bitdrop").iterdir()  # and no leftovers
    assert library.suffix == ".so"

    # With the handler there, no compiler is needed.
    before = library.stat().st_mtime_ns
    assert last_line(start(tmp_path, IMPORT, CXX="", PATH="/nonexistent"), 0).startswith("[2.")
    assert library.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"CXX": "/nonexistent"}, "CXX=/nonexistent is not a program"),
        ({"CXX": "'"}, "CXX=' is not a program"),
        ({"CXX": "", "PATH": "/nonexistent"}, "no c++, g++ or clang++ in PATH"),
        ({"CXX": "false"}, "could not compile its handler"),
        ({"CXX": "true"}, "could not compile its handler"),
    ],
)
def test_missing_compiler(tmp_path: Path, variables: dict[str, str], says: str) -> None:
    message = last_line(start(tmp_path, IMPORT, **variables), 1)
    assert "ImportError: bitdrop.jax" in message
    assert says in message
    assert "C++17 compiler" in message
    folder = tmp_path / "bitdrop"
    assert not folder.exists() or not list(folder.iterdir())


def test_cache_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = last_line(start(tmp_path / "file", IMPORT), 1)
    assert "ImportError: bitdrop.jax could not write" in message
    assert "set XDG_CACHE_HOME" in message


def test_missing_headers(tmp_path: Path) -> None:
    program = f"import jax.ffi; jax.ffi.include_dir = lambda: {str(tmp_path)!r}; import bitdrop.jax"
    message = last_line(start(tmp_path, program), 1)
    assert "ImportError: bitdrop.jax needs xla/ffi/api/ffi.h" in message


def test_missing_jax(tmp_path: Path) -> None:
    program = "import sys; sys.modules['jax'] = None; import bitdrop.jax"
    assert "pip install --upgrade jax jaxlib" in last_line(start(tmp_path, program), 1)
