# SPDX-License-Identifier: Apache-2.0
"""DLPack tensors are used without a copy, or refused."""

from __future__ import annotations

import gc
import sys
from typing import Any

import numpy as np
import pytest
from producer import Tensor

import bitdrop


@pytest.mark.parametrize("versioned", [True, False])
@pytest.mark.parametrize("null_strides", [True, False])
def test_no_copy(versioned: bool, null_strides: bool) -> None:
    how: dict[str, Any] = {"versioned": versioned, "null_strides": null_strides}
    x = np.arange(1, 1001, dtype=np.float32).reshape(10, 100)
    out, bits = np.zeros_like(x), np.zeros(125, np.uint8)
    expected, mask = bitdrop.forward(x, 0.4, seed=5)
    y = Tensor(out, **how)
    result, _ = bitdrop.forward(Tensor(x, **how), 0.4, seed=5, out=y, mask=Tensor(bits, **how))
    assert result is y
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(bits, mask)
    fresh = bitdrop.backward(Tensor(x, **how), 0.4, Tensor(bits, **how))
    assert isinstance(fresh, np.ndarray)
    np.testing.assert_array_equal(fresh, expected)
    both = Tensor(x, **how)
    bitdrop.recompute(both, 0.4, seed=5, out=both)
    np.testing.assert_array_equal(x, expected)


def test_strided_and_read_only_input() -> None:
    x = np.ones((7, 32), np.float64)
    a = bitdrop.recompute(x[:, 3:20], 0.5, seed=1)
    np.testing.assert_array_equal(bitdrop.recompute(Tensor(x[:, 3:20], flags=1), 0.5, seed=1), a)


def bfloat16(x: Any) -> Any:
    """The bits of x as bfloat16: the upper halves of float32 numbers, rounded to nearest even."""
    u = x.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((u + 0x7FFF + (u >> np.uint64(16) & np.uint64(1))) >> np.uint64(16)).astype(np.uint16)


def test_bfloat16() -> None:
    x = bfloat16(np.linspace(-3, 3, 999))
    out = np.zeros_like(x)
    _, mask = bitdrop.forward(Tensor(x), 0.1, seed=9, out=Tensor(out))
    keep = np.unpackbits(mask, bitorder="little")[:999].astype(bool)
    wide = (x.astype(np.uint32) << np.uint32(16)).view(np.float32) * np.float32(1 / 0.9)
    np.testing.assert_array_equal(out, np.where(keep, bfloat16(wide), 0))


def test_bfloat16_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(bitdrop.MissingPackageError, match="pip install ml_dtypes"):
        bitdrop.recompute(Tensor(np.zeros(8, np.uint16)), 0.1, seed=9)
    monkeypatch.undo()
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.linspace(-3, 3, 99).astype(ml_dtypes.bfloat16)
    y = bitdrop.recompute(x, 0.1, seed=9)
    assert y.dtype == x.dtype
    from_bits = bitdrop.recompute(Tensor(x.view(np.uint16)), 0.1, seed=9)
    np.testing.assert_array_equal(y.view(np.uint16), from_bits.view(np.uint16))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"device": 2}, ValueError, "x must be on the CPU, not on CUDA"),
        ({"device": 2, "told_device": 1}, ValueError, "not on CUDA"),
        ({"device": 99}, ValueError, "DLPack device 99"),
        ({"lanes": 4}, TypeError, "one number"),
        ({"code": 5, "bits": 64}, TypeError, "not complex64"),
        ({"code": 12, "bits": 8}, TypeError, "type code 12"),
        ({"byte_offset": 65}, ValueError, "aligned"),
        ({"major": 2}, ValueError, "version 2"),
        ({"name": b"used_dltensor"}, TypeError, "no DLPack capsule"),
    ],
)
def test_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    x = Tensor(np.zeros(8, np.float32), **changes)
    with pytest.raises(error, match=message) as caught:
        bitdrop.infer(x, 0.5)
    assert isinstance(caught.value, bitdrop.BitdropError)
    if changes.get("told_device") is None and "device" in changes:
        assert x.exports == 0


def test_not_contiguous() -> None:
    with pytest.raises(ValueError, match="x must be contiguous"):
        bitdrop.infer(Tensor(np.zeros((8, 8), np.float32).T), 0.5)
    with pytest.raises(ValueError, match="x must be contiguous"):
        bitdrop.infer(Tensor(np.zeros(8, np.float32)[::2]), 0.5)


@pytest.mark.parametrize("flags", [1, 2, 3])
def test_outputs_that_would_be_lost(flags: int) -> None:
    x = np.ones(8, np.float32)
    with pytest.raises(ValueError, match="out cannot be written"):
        bitdrop.infer(x, 0.5, out=Tensor(np.zeros(8, np.float32), flags=flags))
    with pytest.raises(ValueError, match="mask cannot be written"):
        bitdrop.forward(x, 0.5, seed=1, mask=Tensor(np.zeros(1, np.uint8), flags=flags))


def test_immutable_frameworks() -> None:
    fake = type("Array", (Tensor,), {"__module__": "jaxlib.xla_extension"})
    with pytest.raises(ValueError, match="out cannot be written"):
        bitdrop.infer(np.ones(8, np.float32), 0.5, out=fake(np.zeros(8, np.float32)))


def test_producer_fails() -> None:
    class Broken(Tensor):
        def __dlpack__(self, **options: Any) -> Any:
            raise BufferError("use tensor.detach()")

    with pytest.raises(ValueError, match=r"x cannot be exported.*use tensor\.detach"):
        bitdrop.infer(Broken(np.zeros(8, np.float32)), 0.5)


def test_numpys_own_capsules_are_freed() -> None:
    class Wrapped:
        def __init__(self, array: Any) -> None:
            self.array = array

        def __dlpack_device__(self) -> Any:
            return self.array.__dlpack_device__()

        def __dlpack__(self, **options: Any) -> Any:
            return self.array.__dlpack__(**options)

    x = np.ones(64, np.float32)
    before = sys.getrefcount(x)
    for _ in range(10):
        np.testing.assert_array_equal(bitdrop.infer(Wrapped(x), 0.5), x)
    gc.collect()
    assert sys.getrefcount(x) <= before + 1  # no capsule is left
