# SPDX-License-Identifier: Apache-2.0
"""docs/stream.md in NumPy, plane by plane, sharing nothing with the library."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def philox(counter: tuple[U64, U64, U64, U64], seed: int, rounds: int) -> tuple[U64, ...]:
    c0, c1, c2, c3 = counter
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(rounds):
        a, b = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            b >> HALF ^ c1 ^ np.uint64(k0),
            b & LOW,
            a >> HALF ^ c3 ^ np.uint64(k1),
            a & LOW,
        )
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3


def keep(index: U64, p: float, seed: int, stream: int = 0, rounds: int = 10) -> npt.NDArray[np.bool_]:
    """Whether the elements of these absolute indices are kept."""
    if p in (0, 1):
        return np.full(index.shape, p == 0)
    numerator, denominator = p.as_integer_ratio()
    threshold = (numerator << 64) // denominator
    uniform = np.zeros(index.shape, np.uint64)
    e = index.astype(np.uint64)
    for plane in range(64):
        early = plane < 8
        block = e >> np.uint64(7 if early else 5)
        word = (e & np.uint64(127)) >> np.uint64(5) if early else np.full_like(e, (plane - 8) % 4)
        third = plane if early else 8 + (plane - 8) // 4
        counter = (
            block & LOW,
            block >> HALF,
            np.full_like(e, third),
            np.full_like(e, stream),
        )
        words = np.stack(philox(counter, seed, rounds))
        chosen = np.take_along_axis(words, word[None].astype(np.intp), 0)[0]
        uniform = uniform << np.uint64(1) | (chosen >> (e & np.uint64(31)) & np.uint64(1))
    return uniform >= np.uint64(threshold)


def keep_flat(n: int, p: float, *, offset: int = 0, **stream: Any) -> npt.NDArray[np.bool_]:
    return keep(np.arange(n, dtype=np.uint64) + np.uint64(offset), p, **stream)


def keep_matrix(rows: int, cols: int, p: float, *, pitch: int, offset: int = 0, **stream: Any) -> npt.NDArray[np.bool_]:
    r, c = np.ogrid[:rows, :cols]
    index = (r * pitch + c).astype(np.uint64) + np.uint64(offset)
    return keep(index.ravel(), p, **stream).reshape(rows, cols)


def pack(bits: npt.NDArray[np.bool_], axis: int | None = None) -> npt.NDArray[np.uint8]:
    return np.packbits(bits, axis=axis, bitorder="little")


def apply(x: npt.NDArray[Any], bits: npt.NDArray[np.bool_], factor: float) -> npt.NDArray[Any]:
    """X * factor in x's dtype, half precision by way of float32; +0 where bits are not set."""
    wide: Any = np.float64 if x.dtype == np.float64 else np.float32
    product = (x.astype(wide) * wide(factor)).astype(x.dtype)
    return np.where(bits, product, np.zeros_like(x))


def scale(p: float, scaling: str) -> float:
    if scaling == "infer":
        return 1.0
    return 1 / (1 - p) if p < 1 else math.inf
