# SPDX-License-Identifier: Apache-2.0
"""Calls on masks alone: masks of every shape, count, unpack, pack, and the masks of DropBlock."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from producer import Tensor
from test_operations import PLACES, STREAM

import bitdrop

rng = np.random.default_rng(4)


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_mask(place: dict[str, Any]) -> None:
    keep = oracle.keep_matrix(17, 21, 0.3, **STREAM, **place)
    expected = oracle.pack_matrix(keep, **place)
    got = bitdrop.mask((17, 21), 0.3, **STREAM, **place)
    np.testing.assert_array_equal(got, expected)
    out = np.full_like(expected, 0xA5)
    assert bitdrop.mask((17, 21), 0.3, out=out, **STREAM, **place) is out
    np.testing.assert_array_equal(out, expected)
    x = np.ones((17, 21), np.float32)
    np.testing.assert_array_equal(bitdrop.forward(x, 0.3, mask=out, **STREAM, **place)[1], expected)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 63, 64, 65, 1000, 4099])
def test_flat(n: int) -> None:
    keep = rng.random(n) < 0.4
    mask = bitdrop.mask_pack(keep)
    np.testing.assert_array_equal(mask, oracle.pack(keep))
    for values in (keep * np.uint8(77), keep.view(np.uint8), Tensor(keep.view(np.uint8))):
        np.testing.assert_array_equal(bitdrop.mask_pack(values), mask)
    if n % 8:
        mask[-1] |= 0x80  # past the last element
    assert bitdrop.mask_count(mask, n) == keep.sum()
    assert bitdrop.mask_count(mask) == keep.sum() + (n % 8 > 0)
    got = bitdrop.mask_unpack(mask, n)
    assert got.dtype == np.bool_
    np.testing.assert_array_equal(got, keep)
    out = np.full(n, 9, np.uint8)
    assert bitdrop.mask_unpack(Tensor(mask), n, out=out) is out
    np.testing.assert_array_equal(out, keep)


@pytest.mark.parametrize("cols", [1, 13, 16])
def test_rows(cols: int) -> None:
    keep = rng.random((2, 5, cols)) < 0.6
    flat, rows = bitdrop.mask_pack(keep), bitdrop.mask_pack(keep, rows=True)
    np.testing.assert_array_equal(flat, oracle.pack(keep))
    np.testing.assert_array_equal(rows, oracle.pack(keep.reshape(10, cols), 1))
    frame = np.full((10, 7), 0xFF, np.uint8)
    strided = frame[:, 2 : 2 + rows.shape[1]]
    assert bitdrop.mask_pack(keep, out=strided) is strided
    for mask in (flat, rows, strided):
        np.testing.assert_array_equal(bitdrop.mask_unpack(mask, keep.shape), keep)
        assert bitdrop.mask_count(mask, keep.shape) == bitdrop.mask_count(mask) == keep.sum()
    wide = np.full((10, 40), 7, np.uint8)
    bitdrop.mask_unpack(strided, (10, cols), out=wide[:, 3 : 3 + cols])
    np.testing.assert_array_equal(wide[:, 3 : 3 + cols], keep.reshape(10, cols))
    assert (wide[:, :3] == 7).all()
    assert (wide[:, 3 + cols :] == 7).all()
    np.testing.assert_array_equal(bitdrop.mask_pack(wide[:, 3 : 3 + cols]), rows)
    assert (frame[:, :2] == 0xFF).all()
    assert (frame[:, 2 + rows.shape[1] :] == 0xFF).all()


def test_scalar() -> None:
    assert bitdrop.mask_unpack(np.array([1], np.uint8), ()).shape == ()
    np.testing.assert_array_equal(bitdrop.mask_pack(np.array(True)), [1])


@pytest.mark.parametrize("p", [0.0, 0.1, 0.7, 1.0])
@pytest.mark.parametrize("shape", [(2, 3, 9, 13), (1, 8, 8), (5, 7)])
def test_dropblock(shape: tuple[int, ...], p: float) -> None:
    planes = int(np.prod(shape[:-2]))
    for block in (1, 3, min(shape[-2:])):
        keep = oracle.dropblock(planes, *shape[-2:], p, block, **STREAM)
        mask, kept = bitdrop.mask_dropblock(shape, p, block, **STREAM)
        np.testing.assert_array_equal(bitdrop.mask_unpack(mask, shape), keep.reshape(shape))
        assert kept == keep.sum() == bitdrop.mask_count(mask)
        out = np.full_like(mask, 0xA5)
        assert bitdrop.mask_dropblock(shape, p, block, out=out, **STREAM)[0] is out
        np.testing.assert_array_equal(out, mask)
    if 0 < p < 1:
        x = rng.standard_normal(shape).astype(np.float32)
        y = bitdrop.backward(x, 1 - kept / x.size, mask)
        expected = oracle.apply(x, keep.reshape(shape), 1 / (1 - (1 - kept / x.size)) if kept else 1)
        if kept:
            np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: bitdrop.mask_count(np.ones(2, bool)), TypeError, "mask must be uint8"),
        (lambda: bitdrop.mask_count(np.ones(2, np.uint8), 17), ValueError, r"must have shape \(3,\)"),
        (lambda: bitdrop.mask_count(np.ones(2, np.uint8), "x"), ValueError, "shape must be n or a tuple"),
        (lambda: bitdrop.mask_count(np.ones(4, np.uint8)[::2]), ValueError, "mask must be contiguous"),
        (lambda: bitdrop.mask_unpack(np.ones(2, np.uint8), (3, 9)), ValueError, r"\(4,\) or \(3, 2\), not \(2,\)"),
        (lambda: bitdrop.mask_unpack(np.ones(2, np.uint8), -1), ValueError, "shape must be n or a tuple"),
        (
            lambda: bitdrop.mask_unpack(np.ones(2, np.uint8), 9, out=np.zeros(8, bool)),
            ValueError,
            "out must have shape",
        ),
        (lambda: bitdrop.mask_unpack(np.ones(2, np.uint8), 9, out=np.zeros(9)), TypeError, "out must be bool or uint8"),
        (
            lambda: bitdrop.mask_unpack(np.ones(4, np.uint8), (3, 9), out=np.zeros((3, 20), bool)[:, :9]),
            ValueError,
            "one mask row for each row",
        ),
        (lambda: bitdrop.mask_pack(np.ones(9, np.float32)), TypeError, "keep must be bool or uint8"),
        (lambda: bitdrop.mask_pack([True]), TypeError, "keep must be a NumPy array"),
        (lambda: bitdrop.mask_pack(np.ones(9, bool), out=np.zeros(1, np.uint8)), ValueError, r"out .* \(2,\)"),
        (lambda: bitdrop.mask_dropblock(8, 0.1, 3, seed=1), ValueError, "height and width of a plane"),
        (lambda: bitdrop.mask_dropblock((8, 8), 0.1, 9, seed=1), ValueError, "8 x 8 x 9"),
        (lambda: bitdrop.mask_dropblock((8, 8), 0.1, 0, seed=1), ValueError, "8 x 8 x 0"),
        (lambda: bitdrop.mask_dropblock((8, 8), 0.1, -1, seed=1), ValueError, "block must lie in"),
        (lambda: bitdrop.mask_dropblock((8, 8), 2, 3, seed=1), ValueError, "p must lie in"),
        (lambda: bitdrop.mask_dropblock((8, 8), 0.1, 3, seed=1, pitch=9), TypeError, "no argument 'pitch'"),
        (
            lambda: bitdrop.mask_dropblock((8, 8), 0.1, 3, seed=1, out=np.zeros((8, 2), np.uint8)),
            ValueError,
            r"out must be contiguous, of shape \(8, 1\)",
        ),
    ],
)
def test_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, bitdrop.BitdropError)


def test_overlap() -> None:
    memory = np.zeros(16, np.uint8)
    with pytest.raises(ValueError, match=r"overlap|disjoint|apart"):
        bitdrop.mask_unpack(memory[:2], 9, out=memory[:9])
    with pytest.raises(ValueError, match=r"overlap|disjoint|apart"):
        bitdrop.mask_pack(memory[:9], out=memory[8:10])
