# SPDX-License-Identifier: Apache-2.0
"""docs/stream.md and the formulas of docs/reference.md in NumPy. The oracle shares no code with the library."""

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
    """Whether the elements with these absolute indices are kept."""
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


def mask_row(rows: int, mask_repeat: int = 1, first_row: int = 0) -> list[int]:
    """The mask row of the whole matrix that each row uses."""
    return [(first_row + r) // mask_repeat for r in range(rows)]


def noise(index: U64, seed: int, stream: int = 0, rounds: int = 10) -> npt.NDArray[np.float64]:
    """The Gaussian numbers for these absolute indices."""
    block = index // np.uint64(64) * np.uint64(16) + index % np.uint64(16)
    counter = (block & LOW, block >> HALF, np.full_like(block, 256), np.full_like(block, stream))
    w0, w1, w2, w3 = philox(counter, seed, rounds)
    quarter = index % np.uint64(64) // np.uint64(16)
    first, second = np.where(quarter < 2, w0, w2), np.where(quarter < 2, w1, w3)
    u = (first >> np.uint64(1)).astype(np.float32) * np.float32(2**-31) + np.float32(2**-32)
    t = second.astype(np.uint32).view(np.int32).astype(np.float32) * np.float32(2**-31)
    turn = np.pi * t.astype(np.float64)
    return np.sqrt(-2 * np.log(u.astype(np.float64))) * np.where(quarter % 2 == 0, np.cos(turn), np.sin(turn))


def indices(
    rows: int,
    cols: int,
    *,
    pitch: int | None = None,
    unit: str = "element",
    mask_repeat: int = 1,
    first_row: int = 0,
    offset: int = 0,
) -> U64:
    """The absolute index of each element, or of its row if unit is "row"."""
    index = np.empty((rows, cols), np.uint64)
    for r, m in enumerate(mask_row(rows, mask_repeat, first_row)):
        for c in range(cols):
            index[r, c] = offset + (m if unit == "row" else m * (pitch or cols) + c)
    return index


def keep_matrix(
    rows: int,
    cols: int,
    p: float,
    *,
    pitch: int | None = None,
    unit: str = "element",
    mask_repeat: int = 1,
    first_row: int = 0,
    offset: int = 0,
    **stream: Any,
) -> npt.NDArray[np.bool_]:
    """Whether each element of a matrix is kept."""
    index = indices(rows, cols, pitch=pitch, unit=unit, mask_repeat=mask_repeat, first_row=first_row, offset=offset)
    return keep(index.ravel(), p, **stream).reshape(rows, cols)


def pack_matrix(
    bits: npt.NDArray[np.bool_], *, unit: str = "element", mask_repeat: int = 1, first_row: int = 0, **_: Any
) -> npt.NDArray[np.uint8]:
    """The mask that a call stores for the result of keep_matrix. It has each decision once."""
    mask_rows = mask_row(len(bits), mask_repeat, first_row)
    once = [r for r, m in enumerate(mask_rows) if r == 0 or m != mask_rows[r - 1]]
    return pack(bits[once, 0]) if unit == "row" else pack(bits[once], 1)


def pack(bits: npt.NDArray[np.bool_], axis: int | None = None) -> npt.NDArray[np.uint8]:
    return np.packbits(bits, axis=axis, bitorder="little")


# ---- Values. float64 data is computed in float64, all other data in float32. The result is rounded once.


def wide(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return x.astype(np.float64 if x.dtype == np.float64 else np.float32)


def scale(p: float, scaling: str = "train") -> float:
    """The factor of kept elements. At p = 1 none is kept, and a factor of 1 avoids warnings of NumPy."""
    return 1 / (1 - p) if p < 1 and scaling == "train" else 1.0


def dropped(x: npt.NDArray[Any], bits: npt.NDArray[np.bool_], factor: float) -> npt.NDArray[Any]:
    """The function D of bitdrop.h, on an x that wide() returned."""
    return np.where(bits, x * x.dtype.type(factor), x.dtype.type(0))


def apply(x: npt.NDArray[Any], bits: npt.NDArray[np.bool_], factor: float) -> npt.NDArray[Any]:
    """Dropout of x in its own dtype: x * factor where bits is true, and +0 elsewhere."""
    return dropped(wide(x), bits, factor).astype(x.dtype)


def add(
    x: npt.NDArray[Any],
    bits: npt.NDArray[np.bool_],
    factor: float,
    bias: npt.NDArray[Any] | None = None,
    residual: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """The sum residual + D(x + bias)."""
    y = wide(x) if bias is None else wide(x) + wide(bias)
    y = dropped(y, bits, factor)
    return (y if residual is None else wide(residual) + y).astype(x.dtype)


def relu_bits(
    x: npt.NDArray[Any], bits: npt.NDArray[np.bool_], bias: npt.NDArray[Any] | None = None
) -> npt.NDArray[np.bool_]:
    """The mask bits of relu: the element is kept, and x + bias is not <= 0."""
    t = wide(x) if bias is None else wide(x) + wide(bias)
    return bits & ~(t <= 0)


def alpha(x: npt.NDArray[Any], bits: npt.NDArray[np.bool_], p: float) -> npt.NDArray[Any]:
    if p == 1:
        return np.zeros_like(x)
    a, b, d = alpha_numbers(p)
    w = wide(x)
    kind = w.dtype.type
    return np.where(bits, w * kind(a) + kind(b), kind(d)).astype(x.dtype)


def alpha_numbers(p: float) -> tuple[float, float, float]:
    """The numbers a, b and d of alpha dropout."""
    constant = 1.7580993408473766
    q = 1 - p
    a = 1 / math.sqrt(q * (1 + p * constant * constant))
    return a, a * p * constant, -constant * math.sqrt(q / (1 + p * constant * constant))


# ---- DropBlock.


def dropblock(
    planes: int, height: int, width: int, p: float, block: int, *, offset: int = 0, **stream: Any
) -> npt.NDArray[np.bool_]:
    """Whether each element of each plane is kept."""
    if p in (0, 1):
        gamma = p
    else:
        gamma = p * (height * width) / (block * block) / ((height - block + 1) * (width - block + 1))
        gamma = min(1.0, gamma)
    seeds = ~keep_flat(planes * height * width, gamma, offset=offset, **stream).reshape(planes, height, width)
    result = np.ones(seeds.shape, np.bool_)
    for n, i, j in np.argwhere(seeds):
        if i <= height - block and j <= width - block:
            result[n, i : i + block, j : j + block] = False
    return result
