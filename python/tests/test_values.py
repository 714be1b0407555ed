# SPDX-License-Identifier: Apache-2.0
"""Masks and values, compared with the oracle and with the golden vectors of the C library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest

import bitdrop
from bitdrop import _library

VECTORS = Path(__file__).parents[2] / "tests" / "vectors"
ISAS = [isa for isa in ("scalar", "avx2", "avx512", "neon") if bitdrop.isa_supported(isa)]
DTYPES = ["float32", "float64", "float16"]
PS = [0.0, 0.1, 0.5, 0.83, 1.0]
STREAM: dict[str, Any] = {"seed": 0x123456789ABCDEF, "stream": 3, "rounds": 10}
rng = np.random.default_rng(1)


def lines(name: str) -> Iterator[list[str]]:
    for line in (VECTORS / name).read_text().splitlines():
        if fields := line.partition("#")[0].split():
            yield fields


def fnv(data: bytes) -> int:
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def stream_of(fields: list[str]) -> dict[str, Any]:
    names = ("seed", "stream", "offset", "rounds")
    return {name: int(field, 0) for name, field in zip(names, fields, strict=False)}


def same(got: Any, expected: Any) -> None:
    """Equal dtypes and bytes."""
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(
        np.ascontiguousarray(got).view(np.uint8), np.ascontiguousarray(expected).view(np.uint8)
    )


def test_oracle_philox() -> None:
    for rounds, *words in lines("philox.txt"):
        w = [np.array([int(word, 16)], np.uint64) for word in words]
        seed = int(words[4], 16) | int(words[5], 16) << 32
        got = oracle.philox((w[0], w[1], w[2], w[3]), seed, int(rounds))
        assert [int(g[0]) for g in got] == [int(x[0]) for x in w[6:]]


@pytest.mark.parametrize("isa", ISAS)
def test_golden_masks(isa: str) -> None:
    for fields in lines("masks-hex.txt"):
        got = bitdrop.mask(int(fields[5]), float.fromhex(fields[4]), isa=isa, **stream_of(fields))
        assert got.tobytes().hex() == fields[6]
    for fields in [*lines("masks.txt"), *lines("masks-deep.txt")]:
        n = int(fields[5])
        got = bitdrop.mask(n, float.fromhex(fields[4]), isa=isa, **stream_of(fields))
        assert np.unpackbits(got).sum() == int(fields[6])
        if n <= 100_000:
            assert fnv(got.tobytes()) == int(fields[7], 16)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("rounds", [7, 10])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 1000, 5003])
def test_mask_is_packbits(n: int, rounds: int, isa: str) -> None:
    for p in PS:
        stream = {**STREAM, "rounds": rounds}
        expected = oracle.pack(oracle.keep_flat(n, p, offset=1001, **stream))
        same(bitdrop.mask(n, p, offset=1001, isa=isa, **stream), expected)


@pytest.mark.parametrize("scaling", ["train", "infer"])
@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_flat(dtype: str, p: float, scaling: str) -> None:
    x = rng.standard_normal((3, 5, 67)).astype(dtype)
    x[0, 0, :3] = np.inf, -0.0, 0.0
    before = x.copy()
    keep = oracle.keep_flat(x.size, p, offset=5, **STREAM)
    expected = oracle.apply(x, keep.reshape(x.shape), oracle.scale(p, scaling))
    y, mask = bitdrop.forward(x, p, offset=5, scaling=scaling, **STREAM)
    same(y, expected)
    same(mask, oracle.pack(keep))
    same(bitdrop.recompute(x, p, offset=5, scaling=scaling, **STREAM), expected)
    same(bitdrop.backward(x, p, mask, scaling=scaling), expected)
    factor = 1.0 if scaling == "train" else 1 - p
    everything = np.full(x.shape, p < 1 or scaling == "train")
    same(
        bitdrop.infer(x, p, scaling=scaling),
        oracle.apply(x, everything, factor if everything.all() else 1),
    )
    same(x, before)
    bits = np.zeros_like(mask)
    assert bitdrop.forward(x, p, offset=5, scaling=scaling, out=x, mask=bits, **STREAM)[0] is x
    same(x, expected)
    same(bits, mask)


@pytest.mark.parametrize("cols", [40, 37])
@pytest.mark.parametrize("dtype", DTYPES)
def test_matrix(dtype: str, cols: int) -> None:
    rows, whole = 9, 64
    big = rng.standard_normal((rows, whole)).astype(dtype)
    x = big[:, 11 : 11 + cols]
    keep = oracle.keep_matrix(rows, cols, 0.1, pitch=whole, offset=11, **STREAM)
    place: dict[str, Any] = {**STREAM, "offset": 11, "pitch": whole}
    expected = oracle.apply(x, keep, 1 / 0.9)
    y, mask = bitdrop.forward(x, 0.1, **place)
    same(y, expected)
    same(mask, oracle.pack(keep, 1))
    assert mask.shape == (rows, -(-cols // 8))
    same(bitdrop.mask((rows, cols), 0.1, **place), mask)
    same(bitdrop.recompute(x, 0.1, **place), expected)
    same(bitdrop.backward(x, 0.1, mask), expected)
    same(bitdrop.infer(x, 0.1), np.ascontiguousarray(x))
    # The result for some columns is that of the whole matrix in these columns.
    same(np.ascontiguousarray(bitdrop.recompute(big, 0.1, **STREAM)[:, 11 : 11 + cols]), expected)
    # Strided outputs: memory between the rows does not change.
    frame, bits = np.full((rows, 80), 7, dtype), np.full((rows, 20), 0xA5, np.uint8)
    bitdrop.forward(x, 0.1, out=frame[:, 3 : 3 + cols], mask=bits[:, 2 : 2 + mask.shape[1]], **place)
    same(np.ascontiguousarray(frame[:, 3 : 3 + cols]), expected)
    same(np.ascontiguousarray(bits[:, 2 : 2 + mask.shape[1]]), mask)
    assert (frame[:, :3] == 7).all()
    assert (frame[:, 3 + cols :] == 7).all()
    assert (bits[:, :2] == 0xA5).all()
    assert (bits[:, 2 + mask.shape[1] :] == 0xA5).all()
    bits[:, 2 : 2 + mask.shape[1]] = 0
    bitdrop.mask((rows, cols), 0.1, out=bits[:, 2 : 2 + mask.shape[1]], **place)
    same(bitdrop.backward(x, 0.1, bits[:, 2 : 2 + mask.shape[1]]), expected)
    before = big.copy()
    bitdrop.recompute(x, 0.1, out=x, **place)
    same(np.ascontiguousarray(x), expected)
    before[:, 11 : 11 + cols] = expected
    same(big, before)


def test_which_mask() -> None:
    """A new mask is flat; with a pitch or strides it is by rows. The dimensions of a mask that is passed decide."""
    x = np.ones((6, 13), np.float32)
    keep = oracle.keep_matrix(6, 13, 0.5, pitch=13, **STREAM)
    same(bitdrop.forward(x, 0.5, **STREAM)[1], oracle.pack(keep))
    same(bitdrop.forward(x, 0.5, pitch=13, **STREAM)[1], oracle.pack(keep, 1))
    rows = np.empty((6, 2), np.uint8)
    y, mask = bitdrop.forward(x, 0.5, mask=rows, **STREAM)
    assert mask is rows
    same(mask, oracle.pack(keep, 1))
    same(bitdrop.backward(x, 0.5, rows), y)
    strided = np.ones((6, 24), np.float32)[:, :16]
    flat = np.empty(12, np.uint8)
    bitdrop.forward(strided, 0.5, mask=flat, **STREAM)
    same(flat, bitdrop.mask(96, 0.5, **STREAM))


def test_odd_shapes() -> None:
    for shape in [(), (0,), (0, 4), (4, 0), (1, 1), (5, 1)]:
        x = np.ones(shape, np.float32)
        y, mask = bitdrop.forward(x, 0.0, seed=1)
        same(y, x)
        assert mask.shape == (-(-x.size // 8),)
    column = np.ones((9, 4), np.float32)[:, ::3][:, :1]  # in rows of one element, the column stride has no effect
    y, mask = bitdrop.forward(column, 0.5, **STREAM)
    same(mask, oracle.pack(oracle.keep_matrix(9, 1, 0.5, pitch=1, **STREAM), 1))
    assert bitdrop.mask((0, 9), 0.5, seed=1).shape == (0, 2)


def test_version() -> None:
    header = VECTORS.parents[1] / "include" / "bitdrop" / "bitdrop.h"
    parts = re.findall(r"^#define BITDROP_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", header.read_text(), re.MULTILINE)
    assert bitdrop.__version__ == bitdrop.version() == ".".join(parts)
    assert tuple(map(int, parts[:2])) == _library.VERSION


def test_last_indices() -> None:
    same(
        bitdrop.mask(16, 0.3, offset=2**64 - 16, **STREAM),
        oracle.pack(oracle.keep_flat(16, 0.3, offset=2**64 - 16, **STREAM)),
    )
    assert bitdrop.mask_bytes(17) == 3
    assert bitdrop.isa_default() in ISAS
