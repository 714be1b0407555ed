# SPDX-License-Identifier: Apache-2.0
"""bitdrop.jax: its bits are those of the C library; wrong arguments; and the first import."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

import jax
import jax.numpy as jnp
from keyed import KEY, KEYS, by_c, enable_x64, last_line, numbers, same, seed_of, start

from bitdrop.errors import BitdropError
from bitdrop.jax import dropout

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
    # p and float32(p) decide differently about too few elements to find one here, but their scales differ.
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
    """XLA's threads share the work on large arrays, whose sizes are odd. Many calls run at the same time."""
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
        (lambda: dropout(KEY, X, Decimal("NaN")), ValueError, "p must lie in"),
        (lambda: dropout(KEY, X, 0.5, stream=10**5000), ValueError, "stream"),
        (lambda: dropout(KEY, X, 0.5, rounds="10"), TypeError, "rounds must be an integer"),
        (lambda: dropout(KEY, X, 0.5, stream=-1), ValueError, "stream"),
        (lambda: dropout(KEY, X, 0.5, stream=2**32), ValueError, "stream"),
        (lambda: dropout(KEY, X, 0.5, rounds=8), ValueError, "rounds must be 7 or 10"),
        (lambda: dropout(KEY, X, 0.5, offset=-1), ValueError, "offset"),
        (lambda: dropout(KEY, X, 0.5, offset=2**64 - 3), ValueError, "offset"),
        (lambda: dropout(KEY, X, 0.5, offset=1.5), TypeError, "integer"),
        (lambda: jax.jit(lambda o: dropout(KEY, X, 0.5, offset=o))(1.5), TypeError, "one integer"),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        call()
    assert isinstance(caught.value, BitdropError)


def test_what_only_the_library_sees_is_an_exception_too() -> None:
    with enable_x64(True):
        call = jax.jit(lambda offset: dropout(KEY, X, 0.5, offset=offset))
        with pytest.raises(jax.errors.JaxRuntimeError, match=r"bitdrop: .*offset"):
            call(jnp.uint64(2**64 - 3)).block_until_ready()


# ---- The first import, each in a process of its own.

IMPORT = "import bitdrop.jax as b, jax; print(b.dropout(jax.random.key(42), jax.numpy.ones(8), .5))"


def test_concurrent_first_imports_share_one_handler(tmp_path: Path) -> None:
    for process in [start(tmp_path, IMPORT, CXX="") for _ in range(2)]:
        assert last_line(process, 0) == "[2. 2. 0. 0. 2. 0. 2. 0.]"
    (library,) = (tmp_path / "bitdrop").iterdir()  # and no temporary files
    assert library.suffix == ".so"

    # The handler exists now, so no compiler is needed.
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
