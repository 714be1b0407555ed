# SPDX-License-Identifier: Apache-2.0
"""GELU and SiLU, whose values have tolerances. test_operations.py tests ReLU, whose values are exact."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import oracle
import pytest

import bitdrop

ROWS, COLS, P = 13, 37, 0.3
STREAM = {"seed": 7, "stream": 2, "offset": 99}
rng = np.random.default_rng(5)


def gelu(x: float) -> tuple[float, float]:
    phi = math.erfc(-x / math.sqrt(2)) / 2
    return x * phi, phi + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def gelu_tanh(x: float) -> tuple[float, float]:
    c, b = math.sqrt(2 / math.pi), 0.044715
    t = math.tanh(c * (x + b * x**3))
    return x / 2 * (1 + t), (1 + t) / 2 + x / 2 * (1 - t * t) * c * (1 + 3 * b * x * x)


def silu(x: float) -> tuple[float, float]:
    s = 1 / (1 + math.exp(-x))
    return x * s, s + x * s * (1 - s)


FORMULAS = {"gelu": gelu, "gelu_tanh": gelu_tanh, "silu": silu}
# The error that docs/reference.md states, and one rounding.
TOLERANCES = {"float64": 1.1e-14, "float32": 4e-7, "float16": 1e-3}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("act", FORMULAS)
def test_values(act: str, dtype: str, bias: bool) -> None:
    x, dy = (4 * rng.standard_normal((2, ROWS, COLS))).astype(dtype)
    b = rng.standard_normal(COLS).astype(dtype) if bias else None
    keep = oracle.keep_matrix(ROWS, COLS, P, **STREAM)
    total = oracle.wide(x) if b is None else oracle.wide(x) + oracle.wide(b)
    value, slope = np.vectorize(FORMULAS[act])(total.astype(np.float64))
    scale = keep / (1 - P)

    def near(got: Any, expected: Any, of: Any) -> None:
        assert got.dtype == dtype
        assert (got[~keep] == 0).all()
        assert not np.signbit(got[~keep]).any()
        most = TOLERANCES[dtype] * (np.maximum(1, abs(total)) * abs(of) / (1 - P) + abs(expected))
        assert (abs(got.astype(np.float64) - expected) <= most).all()

    y, mask = bitdrop.forward_act(x, act, P, bias=b, pitch=COLS, **STREAM)
    near(y, value * scale, 1)
    np.testing.assert_array_equal(mask, oracle.pack(keep, 1))
    dx = bitdrop.backward_act(dy, act, P, mask, x=x, bias=b)
    near(dx, dy * scale * slope, dy.astype(np.float64))

    remade, nothing = bitdrop.forward_act(x, act, P, bias=b, remade=True, **STREAM)
    np.testing.assert_array_equal(remade, y)
    assert nothing is None
    np.testing.assert_array_equal(bitdrop.backward_act(dy, act, P, x=x, bias=b, **STREAM), dx)
    assert bitdrop.backward_act(dy, act, P, mask, x=x, bias=b, out=x) is x
    np.testing.assert_array_equal(x, dx)


def test_math() -> None:
    assert re.fullmatch(r"libm|sleef 3\.\d+\.\d+", bitdrop.math())
