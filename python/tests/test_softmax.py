# SPDX-License-Identifier: Apache-2.0
"""Softmax and dropout in one pass, and its backward pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest

import bitdrop

B, H, TQ, TK, P = 2, 3, 5, 41, 0.3
STREAM = {"seed": 7, "stream": 2, "offset": 99}
TOLERANCES = {"float64": 1e-13, "float32": 3e-6, "float16": 2e-3}
rng = np.random.default_rng(6)


def softmax(t: Any) -> Any:
    e = np.exp(t - t.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def near(got: Any, expected: Any, dtype: str) -> None:
    assert got.dtype == dtype
    np.testing.assert_allclose(got.astype(np.float64), expected, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])


def scores(dtype: str) -> Any:
    return (3 * rng.standard_normal((B, H, TQ, TK))).astype(dtype)


@pytest.mark.parametrize("bias_shape", [None, (TQ, TK), (B, 1, 1, TK), (B, 1, TQ, TK), (1, H, TQ, TK), (B, H, TQ, TK)])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_values(dtype: str, bias_shape: tuple[int, ...] | None) -> None:
    x, dy = scores(dtype), scores(dtype)
    bias = None if bias_shape is None else rng.standard_normal(bias_shape).astype(dtype)
    keep = oracle.keep_matrix(B * H * TQ, TK, P, **STREAM)
    hidden = np.arange(TK) > TK - TQ + np.arange(TQ)[:, None]
    t = 0.3 * x.astype(np.float64) + (0 if bias is None else bias.astype(np.float64))
    t = np.where(hidden, -np.inf, t)
    causal = {"scale": 0.3, "causal_rows": TQ, "causal_first": TK - TQ}
    lse = np.empty((B, H, TQ), "float64" if dtype == "float64" else "float32")

    y, prob, mask = bitdrop.forward_softmax(x, P, bias=bias, lse=lse, **causal, **STREAM)
    kept = keep.reshape(x.shape) / (1 - P)
    near(prob, softmax(t), dtype)
    near(y, softmax(t) * kept, dtype)
    near(lse, np.log(np.exp(t).sum(axis=-1)), lse.dtype.name)
    np.testing.assert_array_equal(mask, oracle.pack(keep, 1))

    g, q = dy * kept, prob.astype(np.float64)
    expected = 0.3 * q * (g - (g * q).sum(axis=-1, keepdims=True))
    dx = bitdrop.backward_softmax(dy, P, mask, prob=prob, **causal)
    near(dx, expected, dtype)
    again = bitdrop.backward_softmax(dy, P, prob=prob, **causal, **STREAM)
    np.testing.assert_array_equal(again, dx)
    assert bitdrop.backward_softmax(dy, P, mask, prob=prob, out=prob, **causal) is prob
    np.testing.assert_array_equal(prob, dx)


def test_outputs() -> None:
    x = scores("float32")
    y, prob, mask = bitdrop.forward_softmax(x, P, **STREAM)
    other, nothing, none = bitdrop.forward_softmax(x, P, prob=False, remade=True, **STREAM)
    np.testing.assert_array_equal(other, y)
    assert nothing is None
    assert none is None
    given = np.empty_like(x)
    z = x.copy()
    result = bitdrop.forward_softmax(z, P, out=z, prob=given, mask=np.empty_like(mask), **STREAM)
    assert result[0] is z
    assert result[1] is given
    for a, b in zip(result, (y, prob, mask), strict=True):
        np.testing.assert_array_equal(a, b)


def test_parts() -> None:
    """A call on some rows of a matrix uses the right rows of the bias of the whole matrix."""
    x = scores("float32").reshape(-1, TK)
    bias = rng.standard_normal((TQ, TK)).astype("float32")
    blocks = {"bias": bias, "bias_block": TQ, "bias_repeat": B * H}
    y = bitdrop.forward_softmax(x, P, **blocks, **STREAM)[0]
    part = bitdrop.forward_softmax(x[7:19], P, first_row=7, **blocks, **STREAM)[0]
    np.testing.assert_array_equal(part, y[7:19])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"scale": 0}, ValueError, "scale must not be 0"),
        ({"scale": "one"}, TypeError, "scale must be a number"),
        ({"scale": float("nan")}, ValueError, "scale must not be 0, infinite"),
        ({"causal_first": 1}, ValueError, "causal_first to 0 where causal_rows is"),
        ({"causal_first": 2**63, "causal_rows": 1}, ValueError, "causal_first"),
        ({"bias": np.zeros((3, TK), "float32")}, ValueError, "does not broadcast"),
        ({"bias": np.zeros((TQ, TK - 1), "float32")}, ValueError, "last dimension"),
        ({"bias": np.zeros((TQ, TK))}, TypeError, "bias must be float32"),
        ({"bias": np.zeros((TQ, TK), "float32"), "bias_block": TQ}, ValueError, "bias has 5 rows"),
        ({"lse": np.zeros((B, H, TQ))}, TypeError, "lse must be contiguous float32"),
        ({"lse": np.zeros((B, H), "float32")}, ValueError, "lse must be contiguous float32 of shape"),
        ({"prob": np.zeros(3, "float32")}, ValueError, "prob must be float32 of shape"),
    ],
)
def test_bad_input(changes: dict[str, Any], error: Any, message: str) -> None:
    x = scores("float32")
    with pytest.raises(error, match=message):
        bitdrop.forward_softmax(x, P, **changes, **STREAM)


def test_overlap() -> None:
    x = scores("float32")
    with pytest.raises(bitdrop.BitdropValueError, match="an output must be the same buffer"):
        bitdrop.forward_softmax(x, P, out=x, prob=x, **STREAM)
