# SPDX-License-Identifier: Apache-2.0
"""Gaussian dropout against the formula of docs/stream.md, with log, sine and cosine in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import oracle
import pytest

import bitdrop

STREAM: dict[str, Any] = {"seed": 0xFEDCBA987654321, "stream": 9, "offset": 77}
PLACES: list[dict[str, Any]] = [
    {},
    {"pitch": 64},
    {"mask_repeat": 3, "first_row": 5, "pitch": 41},
    {"unit": "row"},
    {"unit": "row", "mask_repeat": 2, "first_row": 7},
]
# The error of the noise is below 5e-7 * |N|, and |N| is at most 6.67. The other errors are roundings.
TOLERANCES = {"float64": 4e-6, "float32": 4e-6, "float16": 2e-3}
rng = np.random.default_rng(11)


def noise(index: Any, rounds: int = 10) -> Any:
    return oracle.noise(index.astype(np.uint64), STREAM["seed"], STREAM["stream"], rounds)


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_values(dtype: str, place: dict[str, Any]) -> None:
    rows, cols, p = 13, 37, 0.3
    x = rng.standard_normal((rows, cols)).astype(dtype)
    index = oracle.indices(rows, cols, offset=STREAM["offset"], **place)
    expected = x.astype(np.float64) * (1 + math.sqrt(p / (1 - p)) * noise(index))
    y = bitdrop.gaussian(x, p, **STREAM, **place)
    assert y.dtype == dtype
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])
    assert bitdrop.gaussian(x, p, out=x, **STREAM, **place) is x
    np.testing.assert_array_equal(x, y)


def test_flat_and_rounds() -> None:
    y = bitdrop.gaussian(np.ones(1000), 0.5, rounds=7, **STREAM) - 1
    np.testing.assert_allclose(y, noise(np.arange(77, 1077), 7), rtol=1e-6, atol=1e-12)


def test_probabilities() -> None:
    x = rng.standard_normal(100)
    np.testing.assert_array_equal(bitdrop.gaussian(x, 0, seed=1), x)
    with pytest.raises(bitdrop.BitdropValueError, match="below 1"):
        bitdrop.gaussian(x, 1, seed=1)


def test_parts_are_the_whole() -> None:
    x = rng.standard_normal((12, 30)).astype(np.float32)
    y = np.empty_like(x)
    for rows in (slice(0, 5), slice(5, 12)):
        for cols in (slice(0, 11), slice(11, 30)):
            options = {**STREAM, "first_row": rows.start, "pitch": 30, "offset": STREAM["offset"] + cols.start}
            bitdrop.gaussian(x[rows, cols], 0.2, out=y[rows, cols], **options)
    np.testing.assert_array_equal(y, bitdrop.gaussian(x, 0.2, **STREAM))
