# SPDX-License-Identifier: Apache-2.0
"""Wrong arguments raise an exception that says what to change, and nothing is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import bitdrop
from bitdrop import _library

X = np.ones((4, 12), np.float32)
BITS = np.zeros(6, np.uint8)
OVERLAP = "an output must be the same buffer as an input"


def read_only(a: Any) -> Any:
    a = a.copy()
    a.flags.writeable = False
    return a


def misaligned() -> Any:
    return np.zeros(17, np.uint8)[1:].view(np.float32)


def uneven() -> Any:
    return np.ndarray((2, 4), np.float32, bytearray(64), strides=(18, 4))


def broadcast() -> Any:
    return np.broadcast_to(np.ones(12, np.float32), (4, 12))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"p": -0.1}, ValueError, r"p must lie in \[0, 1\], not be -0.1"),
        ({"p": 1.5}, ValueError, "not be 1.5"),
        ({"p": float("nan")}, ValueError, "not be nan"),
        ({"p": 10**400}, ValueError, "p must lie in"),
        ({"p": "0.5"}, TypeError, "p must be a number"),
        ({"p": None}, TypeError, "p must be a number"),
        ({"seed": -1}, ValueError, r"seed must lie in \[0, 2\*\*64\)"),
        ({"seed": 2**64}, ValueError, "seed must lie in"),
        ({"seed": 1.5}, TypeError, "seed must be an integer"),
        ({"stream": 2**32}, ValueError, "stream must lie in"),
        ({"offset": 2**64}, ValueError, "offset must lie in"),
        ({"offset": 2**64 - 47}, ValueError, "offset = 18446744073709551569"),
        ({"rounds": 8}, ValueError, "rounds must be 7 or 10"),
        ({"rounds": 266}, ValueError, "rounds must be 7 or 10"),
        ({"scaling": "both"}, ValueError, "scaling must be one of 'train', 'infer'"),
        ({"stores": 1}, ValueError, "stores must be one of"),
        ({"isa": "sse9"}, ValueError, "isa must be one of"),
        ({"pitch": 11}, ValueError, "pitch must be at least the 12 columns"),
        ({"pitch": 0}, ValueError, "pitch must be at least"),
        ({"pitch": 2**64 + 12}, ValueError, "pitch must lie in"),
        ({"x": X.ravel(), "pitch": 12}, ValueError, "pitch needs a matrix"),
        ({"x": X.ravel(), "unit": "row"}, ValueError, r"unit='row' needs a matrix.* the shape is \(48,\)"),
        ({"unit": "channel"}, ValueError, "unit must be one of 'element', 'row', not 'channel'"),
        ({"unit": "row", "pitch": 12}, ValueError, "pitch must be left out with unit='row'"),
        ({"unit": "row", "mask": BITS[:2].reshape(1, 2)}, ValueError, r"must have shape \(1,\), not \(1, 2\)"),
        ({"mask_repeat": 0}, ValueError, "mask_repeat must be at least 1"),
        ({"mask_repeat": -1}, ValueError, "mask_repeat must lie in"),
        ({"mask_repeat": 2.0}, TypeError, "mask_repeat must be an integer"),
        ({"mask_repeat": 3, "mask": np.zeros((4, 2), np.uint8)}, ValueError, r"shape \(2, 2\), not \(4, 2\)"),
        ({"first_row": -1}, ValueError, "first_row must lie in"),
        ({"first_row": 2**64 - 3}, ValueError, "first_row = 18446744073709551613"),
        ({"remade": True}, ValueError, "mask must be left out with remade=True"),
        ({"sead": 2}, TypeError, r"forward\(\) has no argument 'sead'; it has first_row, isa"),
        ({"x": [1.0, 2.0]}, TypeError, "x must be a NumPy array or a tensor"),
        ({"x": X.astype(np.int32)}, TypeError, "not int32: convert it"),
        ({"x": X.astype(">f4")}, TypeError, "byte order, not >f4"),
        ({"x": X.astype(np.complex64)}, TypeError, "not complex64"),
        ({"x": X.T}, ValueError, "x must be contiguous"),
        ({"x": X[::-1]}, ValueError, "x must be contiguous"),
        ({"x": X[:, ::2]}, ValueError, "x must be contiguous"),
        ({"x": np.ones((2, 3, 4), np.float32)[:, :, :2]}, ValueError, "x must be contiguous"),
        ({"x": uneven()}, ValueError, r"strides \(18, 4\) bytes"),
        ({"x": broadcast()}, ValueError, "x must be contiguous"),
        ({"x": misaligned()}, ValueError, "x is not aligned"),
        ({"out": np.ones((4, 13), np.float32)}, ValueError, "out must be float32 of shape"),
        ({"out": np.ones((4, 12))}, TypeError, "out must be float32 of shape"),
        ({"out": read_only(X)}, ValueError, "out cannot be written: it is read-only"),
        ({"mask": read_only(BITS)}, ValueError, "mask cannot be written"),
        ({"mask": np.zeros(5, np.uint8)}, ValueError, r"\(6,\) or \(4, 2\), not \(5,\)"),
        ({"mask": np.zeros((3, 2), np.uint8)}, ValueError, r"not \(3, 2\)"),
        ({"mask": np.zeros((2, 4), np.uint8)}, ValueError, r"not \(2, 4\)"),
        ({"mask": np.zeros(48, bool)}, TypeError, "numpy.packbits"),
        ({"mask": np.zeros(12, np.uint8)[::2]}, ValueError, "mask must be contiguous"),
        ({"pitch": 12, "mask": BITS.copy()}, ValueError, "one mask row for each row"),
        ({"mask": X.view(np.uint8)[0, :6]}, ValueError, "a written mask and a bias apart from all others"),
    ],
)
def test_forward(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    x = X.copy()
    out, mask = np.full_like(X, 7), np.full(6, 0xA5, np.uint8)
    arguments = {"x": x, "p": 0.5, "seed": 1, "out": out, "mask": mask, **changes}
    if changes.keys() & {"pitch", "unit", "mask_repeat", "first_row"} and "mask" not in changes:
        arguments["mask"] = None
    if "x" in changes:
        arguments.update(out=None, mask=None)
    if "mask" in changes and np.shares_memory(changes["mask"], X):
        arguments["x"] = X
    with pytest.raises(error, match=message) as caught:
        bitdrop.forward(arguments.pop("x"), arguments.pop("p"), **arguments)
    assert isinstance(caught.value, bitdrop.BitdropError)
    assert (x == 1).all()
    assert (out == 7).all()
    assert (mask == 0xA5).all()
    assert (X == 1).all()


def test_overlap() -> None:
    line = np.ones(20, np.float32)
    with pytest.raises(ValueError, match=OVERLAP):
        bitdrop.recompute(line[:16], 0.5, seed=1, out=line[1:17])
    with pytest.raises(ValueError, match=OVERLAP):
        bitdrop.infer(line[:16].reshape(4, 4), 0.5, out=line.reshape(4, 5)[:, :4])
    assert (line == 1).all()
    frame = np.ones((4, 32), np.float32)  # the rows of one view lie in the gaps of the other: no overlap
    bitdrop.infer(frame[:, :8], 0.5, out=frame[:, 8:16])


@pytest.mark.parametrize("shape", [-1, (3,) * 3, (2, -1), "8", 1.5, (1.5, 2), 2**63, None])
def test_mask_shape(shape: Any) -> None:
    with pytest.raises(ValueError, match="shape must be n or"):
        bitdrop.mask(shape, 0.5, seed=1)


def test_mask() -> None:
    with pytest.raises(ValueError, match="pitch needs a matrix"):
        bitdrop.mask(8, 0.5, seed=1, pitch=8)
    with pytest.raises(ValueError, match="out must have shape"):
        bitdrop.mask(9, 0.5, seed=1, out=np.zeros(1, np.uint8))
    with pytest.raises(TypeError, match="out must be uint8"):
        bitdrop.mask(8, 0.5, seed=1, out=np.zeros(1, bool))
    with pytest.raises(TypeError, match="seed"):
        bitdrop.mask(8, 0.5)  # type: ignore[call-arg]


def test_backward() -> None:
    with pytest.raises(ValueError, match=r"must have shape \(6,\) or"):
        bitdrop.backward(X, 0.5, np.zeros(7, np.uint8))
    with pytest.raises(ValueError, match="one mask row for each row"):
        bitdrop.backward(np.ones((4, 24), np.float32)[:, :12], 0.5, BITS)
    with pytest.raises(TypeError, match="mask must be a NumPy array"):
        bitdrop.backward(X, 0.5, [1] * 6)  # type: ignore[call-overload]
    for given in ({}, {"mask": BITS, "seed": 1}):
        with pytest.raises(TypeError, match="pass either mask"):
            bitdrop.backward(X, 0.5, **given)
    with pytest.raises(TypeError, match="seed must be an integer"):
        bitdrop.backward(X, 0.5, seed="1")  # type: ignore[call-overload]


BIAS = np.ones(12, np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"bias": BIAS[:11]}, ValueError, r"bias must be float32 of shape \(12,\), a value for each column"),
        ({"bias": np.ones((1, 12), np.float32)}, ValueError, r"not float32 of shape \(1, 12\)"),
        ({"bias": np.ones(12)}, TypeError, "not float64 of shape"),
        ({"bias": np.ones(24, np.float32)[::2]}, ValueError, "bias must be contiguous"),
        ({"bias": [1.0] * 12}, TypeError, "bias must be a NumPy array"),
        ({"bias": BIAS, "mask": BITS}, ValueError, r"must have shape \(4, 2\), not \(6,\): one mask row for each row"),
        ({"residual": X[:3]}, ValueError, "residual must be float32 of shape"),
        ({"residual": X.astype(np.float16)}, TypeError, "residual must be float32 of shape"),
        ({"residual": X.T}, ValueError, "residual must be contiguous"),
        ({"residual": 1.0}, TypeError, "residual must be a NumPy array"),
        ({"x": X.astype(np.int8)}, TypeError, "not int8: convert it"),
        ({"residule": X}, TypeError, r"forward_add\(\) has no argument 'residule'"),
    ],
)
def test_add(call: dict[str, Any], error: type[Exception], message: str) -> None:
    x, out = X.copy(), np.full_like(X, 7)
    with pytest.raises(error, match=message) as caught:
        bitdrop.forward_add(**{"x": x, "p": 0.5, "seed": 1, "out": out, **call})
    assert isinstance(caught.value, bitdrop.BitdropError)
    assert (x == 1).all()
    assert (out == 7).all()


def test_add_overlap() -> None:
    """The output may be the same array as x or residual, but must not overlap them in another way."""
    line = np.ones(60, np.float32)
    x, later = line[:48].reshape(4, 12), line[12:].reshape(4, 12)
    other = np.ones_like(X)
    for arrays in ({"x": x, "residual": other}, {"x": other, "residual": x}):
        with pytest.raises(ValueError, match=OVERLAP):
            bitdrop.forward_add(**arrays, p=0.5, seed=1, out=later)
    with pytest.raises(ValueError, match=OVERLAP):
        bitdrop.forward_add(other, 0.5, bias=line[:12], seed=1, out=x)
    assert (line == 1).all()
    assert (other == 1).all()
    bitdrop.forward_add(x, 0.5, bias=line[:12], residual=later, seed=1)  # inputs may share memory


def test_act() -> None:
    for act in ("tanh", "", None, 1):
        with pytest.raises(ValueError, match="act must be one of 'relu'"):
            bitdrop.forward_act(X, act, 0.5, seed=1)  # type: ignore[call-overload]
        with pytest.raises(ValueError, match="act must be one of 'relu'"):
            bitdrop.backward_act(X, act, 0.5, BITS)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="x is needed: pass that of the forward call"):
        bitdrop.backward_act(X, "relu", 0.5, seed=1)
    with pytest.raises(TypeError, match="x is needed: pass that of the forward call"):
        bitdrop.backward_act(X, "gelu", 0.5, BITS)
    with pytest.raises(ValueError, match="x must be float32 of shape"):
        bitdrop.backward_act(X, "relu", 0.5, x=X[:3], seed=1)
    with pytest.raises(TypeError, match="pass either mask"):
        bitdrop.backward_act(X, "relu", 0.5, x=X)
    with pytest.raises(ValueError, match=r"must have shape \(4, 2\), not \(1,\)"):
        bitdrop.forward_act(X, "relu", 0.5, seed=1, unit="row", mask=np.zeros(1, np.uint8))
    with pytest.raises(TypeError, match=r"infer\(\) has no argument 'offset'; it has isa, scaling, stores"):
        bitdrop.infer(X, 0.5, offset=3)  # type: ignore[call-overload]


def test_isa_of_another_machine() -> None:
    absent = [i for i in ("avx2", "avx512", "neon") if not bitdrop.isa_supported(i)]
    for isa in absent:
        with pytest.raises(ValueError, match=f"isa = {isa}"):
            bitdrop.mask(8, 0.5, seed=1, isa=isa)
    assert absent
    with pytest.raises(ValueError, match="isa must be one of"):
        bitdrop.isa_supported("mmx")


def test_library() -> None:
    with pytest.raises(TypeError, match="dtype = 9"):
        _library.recompute(_library.config(0.5), 9, 0, 0, 0)
    with pytest.raises(ValueError, match=r"NULL.*n = 4"):
        _library.recompute(_library.config(0.5), _library.F32, 4, 0, 0)
    cfg = _library.config(0.5)
    cfg.rounds = 9
    with pytest.raises(ValueError, match="rounds"):
        _library.recompute(cfg, _library.F32, 0, 0, 0)
    with pytest.raises(ValueError, match="n must lie in"):
        bitdrop.mask_bytes(-1)
