# SPDX-License-Identifier: Apache-2.0
"""Wrong arguments of attention raise an exception that says what to change, and nothing is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import bitdrop

ABSENT = next(isa for isa in ("avx2", "avx512", "neon") if not bitdrop.isa_supported(isa))
Q = np.ones((2, 4, 6, 5), "float32")
K = np.ones((2, 2, 21, 5), "float32")
OUT, LSE = np.ones((2, 4, 6, 5), "float32"), np.zeros((2, 4, 6), "float32")
BY_ROWS = np.ones((2, 6, 4, 5), "float32").swapaxes(1, 2)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"p": 1.5}, ValueError, "p must lie in"),
        ({"seed": None}, TypeError, "seed is needed where p is not 0"),
        ({"pitch": 21}, TypeError, r"attention\(\) has no argument 'pitch'; it has index_heads, index_keys"),
        ({"offset": 2**64 - 1}, ValueError, "offset = 18446744073709551615, batch = 2, heads = 4, kv_heads = 2"),
        ({"scale": 0}, ValueError, "scale must not be 0"),
        ({"scale": "one"}, TypeError, "scale must be a number"),
        ({"scale": float("nan")}, ValueError, "scale must not be 0, infinite"),
        ({"causal_first": 1}, ValueError, "causal_first must be 0 unless causal=True"),
        ({"causal_first": 2**63, "causal": True}, ValueError, r"causal_first must lie in \[-2\*\*63, 2\*\*63\)"),
        ({"causal_first": 0.5, "causal": True}, TypeError, "causal_first must be an integer"),
        ({"index_heads": 3}, ValueError, "index_heads must be at least the 4 of this call, not 3"),
        ({"index_keys": 0}, ValueError, "index_keys must be at least the 21"),
        ({"index_queries": 6.0}, TypeError, "index_queries must be an integer"),
        ({"isa": ABSENT}, ValueError, "isa = "),
        ({"q": Q[0]}, ValueError, r"q must have the four dimensions .* not shape \(4, 6, 5\)"),
        ({"q": [1.0]}, TypeError, "q must be a NumPy array"),
        ({"q": Q.astype("int32")}, TypeError, "q must be float16, .* not int32"),
        ({"q": Q.astype("float64")}, TypeError, "k must be float64 as q is, not float32"),
        ({"q": Q[..., ::-1]}, ValueError, "q must have contiguous rows that do not overlap"),
        ({"q": Q[:, ::-1]}, ValueError, "no negative strides"),
        ({"q": np.broadcast_to(Q[:, :, :1], Q.shape)}, ValueError, "q must have contiguous rows that do not overlap"),
        ({"q": Q[:, :3]}, ValueError, "the heads of k divide those of q"),
        ({"q": Q[:1]}, ValueError, "k of shape .* does not fit q"),
        ({"q": Q[..., :4]}, ValueError, "k of shape .* does not fit q"),
        ({"q": Q[:, :, :0]}, ValueError, "q and k must have a head, a row and an element at least"),
        ({"k": K[:, :0], "v": K[:, :0]}, ValueError, "q and k must have a head"),
        ({"k": K[:, :, :0], "v": K[:, :, :0]}, ValueError, "q and k must have a head"),
        ({"v": K[..., :0]}, ValueError, "q and v must have a head"),
        ({"v": K[:, :, :20]}, ValueError, "v of shape .* does not fit k"),
        ({"v": K[:, :1]}, ValueError, "v of shape .* does not fit k"),
        ({"bias": np.ones((6, 21))}, TypeError, "bias must be float32 as q is, not float64"),
        ({"bias": np.ones((6, 1), "float32")}, ValueError, r"bias must broadcast to the scores \(2, 4, 6, 21\)"),
        ({"bias": np.ones((5, 21), "float32")}, ValueError, "bias must broadcast"),
        ({"bias": np.ones((1, 2, 4, 6, 21), "float32")}, ValueError, "bias must broadcast"),
        ({"bias": np.ones((21, 6), "float32").T}, ValueError, "bias must have contiguous rows"),
        ({"out": np.ones((2, 4, 6, 4), "float32")}, ValueError, r"out must be float32 of shape \(2, 4, 6, 5\)"),
        ({"out": np.ones((2, 4, 6, 5))}, TypeError, "out must be float32 of shape"),
        ({"out": np.broadcast_to(Q[:, :1], Q.shape)}, ValueError, "out cannot be written"),
        ({"out": Q}, ValueError, "disjoint"),
        ({"lse": np.zeros((2, 4, 6))}, TypeError, "lse must be contiguous float32"),
        ({"lse": np.zeros((2, 4), "float32")}, ValueError, r"lse must be contiguous float32 of shape \(2, 4, 6\)"),
        ({"mask": np.zeros((48, 2), "uint8")}, ValueError, r"must have shape \(48, 3\), not \(48, 2\)"),
        ({"mask": np.zeros((48, 4), "uint8")[:, :3]}, ValueError, "mask must be contiguous"),
        ({"mask": np.zeros((48, 3), bool)}, TypeError, "numpy.packbits"),
    ],
)
def test_bad_input(changes: dict[str, Any], error: Any, message: str) -> None:
    out = np.full((2, 4, 6, 5), 7, "float32")
    arguments = {"q": Q, "k": K, "v": K, "p": 0.3, "seed": 1, "out": out, **changes}
    if "q" in changes or "v" in changes:
        arguments["out"] = None
    with pytest.raises(error, match=message) as caught:
        bitdrop.attention(**arguments)
    assert isinstance(caught.value, bitdrop.BitdropError)
    assert (out == 7).all()
    assert (Q == 1).all()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"seed": None}, TypeError, "pass either mask"),
        ({"mask": np.zeros((48, 3), "uint8")}, TypeError, "pass either mask"),
        ({"seed": None, "mask": np.zeros((48, 2), "uint8")}, ValueError, r"must have shape \(48, 3\)"),
        ({"stores": "auto"}, TypeError, r"attention_backward\(\) has no argument 'stores'"),
        ({"dout": OUT[:1]}, ValueError, "dout must be float32 of shape"),
        ({"dout": BY_ROWS}, ValueError, "dout must have the strides of out, .* copy one"),
        ({"out": OUT.astype("float64")}, TypeError, "out must be float32 of shape"),
        ({"lse": LSE[:1]}, ValueError, "lse must be contiguous float32 of shape"),
        ({"k": np.broadcast_to(K[:1], K.shape)}, ValueError, "k has a stride of 0, which its gradient cannot have"),
        ({"dq": BY_ROWS}, ValueError, "dq must have the strides of q"),
        ({"dk": K[:, :1].copy()}, ValueError, "dk must be float32 of shape"),
        ({"dv": np.broadcast_to(K[:1], K.shape)}, ValueError, "dv cannot be written"),
        ({"dv": K}, ValueError, "disjoint"),
    ],
)
def test_bad_input_of_backward(changes: dict[str, Any], error: Any, message: str) -> None:
    arguments = {"dout": OUT, "q": Q, "k": K, "v": K, "p": 0.3, "out": OUT, "lse": LSE, "seed": 1, **changes}
    with pytest.raises(error, match=message) as caught:
        bitdrop.attention_backward(**arguments)
    assert isinstance(caught.value, bitdrop.BitdropError)
    assert (K == 1).all()
