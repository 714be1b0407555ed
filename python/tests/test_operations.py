# SPDX-License-Identifier: Apache-2.0
"""Every operation against its formula: rows and columns, decisions that rows share, stored masks and remade bits."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import oracle
import pytest

import bitdrop

ISAS = [isa for isa in ("scalar", "avx2", "avx512", "neon") if bitdrop.isa_supported(isa)]
DTYPES = ["float32", "float64", "float16", "bfloat16"]
STREAM: dict[str, Any] = {"seed": 0xFEDCBA987654321, "stream": 9, "rounds": 10, "offset": 77}
PLACES: list[dict[str, Any]] = [
    {},
    {"pitch": 64},
    {"first_row": 5},
    {"mask_repeat": 3},
    {"mask_repeat": 3, "first_row": 5, "pitch": 41},
    {"mask_repeat": 1000},
    {"unit": "row"},
    {"unit": "row", "mask_repeat": 2, "first_row": 7},
]
# name -> (whether it has a bias, whether it has a residual)
OPERATIONS = {
    "plain": (False, False),
    "add": (False, False),
    "add bias": (True, False),
    "add residual": (False, True),
    "add both": (True, True),
    "relu": (False, False),
    "relu bias": (True, False),
    "alpha": (False, False),
}
rng = np.random.default_rng(3)


def numbers(*shape: int, dtype: str) -> Any:
    """Random normal numbers. The first ones are replaced by special numbers."""
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    x = rng.standard_normal(shape).astype(dtype)
    special = [np.inf, -0.0, np.nan, 0.0, -np.inf, -0.0]
    x.reshape(-1)[: len(special)] = special[: x.size]
    return x


def same(got: Any, expected: Any) -> None:
    """Bit for bit equal, where all NaNs count as equal."""
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    nans = np.isnan(expected.astype(np.float64))
    np.testing.assert_array_equal(np.isnan(got.astype(np.float64)), nans)
    size = got.dtype.itemsize
    a, b = (np.ascontiguousarray(x).view(f"u{size}")[~nans] for x in (got, expected))
    np.testing.assert_array_equal(a, b)


@functools.lru_cache(maxsize=256)
def decisions(rows: int, cols: int, p: float, place: tuple[tuple[str, Any], ...]) -> Any:
    return oracle.keep_matrix(rows, cols, p, **{**STREAM, **dict(place)})


class Call(NamedTuple):
    """An operation on given arrays: how to call it, and the results that are expected."""

    name: str
    p: float
    x: Any
    dy: Any
    bias: Any
    residual: Any
    keep: Any
    scaling: str = "train"

    def forward(self, **options: Any) -> Any:
        """Make the forward call. Options may replace its arrays."""
        x, p = options.pop("x", self.x), self.p
        bias, residual = self.bias, options.pop("residual", self.residual)
        options = {"scaling": self.scaling, **STREAM, **options}
        kind = self.name.partition(" ")[0]
        if kind == "add":
            return bitdrop.forward_add(x, p, bias=bias, residual=residual, **options)
        if kind == "relu":
            return bitdrop.forward_act(x, "relu", p, bias=bias, **options)
        return {"plain": bitdrop.forward, "alpha": bitdrop.forward_alpha}[kind](x, p, **options)

    def backward(self, mask: Any, **options: Any) -> Any:
        """Make the backward call. If mask is None, it makes the bits again from the seed."""
        dy, residual = options.pop("dy", self.dy), options.pop("residual", self.residual)
        options = {"scaling": self.scaling, **options}
        if mask is None:
            options = {**STREAM, **options}
        kind = self.name.partition(" ")[0]
        if kind == "add":
            return bitdrop.backward_add(dy, self.p, mask, residual=residual, **options)
        if kind == "relu":
            beside = {"x": self.x, "bias": self.bias} if mask is None else {}
            return bitdrop.backward_act(dy, "relu", self.p, mask, **beside, **options)
        return {"plain": bitdrop.backward, "alpha": bitdrop.backward_alpha}[kind](dy, self.p, mask, **options)

    @property
    def bits(self) -> Any:
        """The bits that the mask stores."""
        return oracle.relu_bits(self.x, self.keep, self.bias) if self.name.startswith("relu") else self.keep

    @property
    def y(self) -> Any:
        """The expected result of the forward call."""
        factor = oracle.scale(self.p, self.scaling)
        if self.name == "alpha":
            return oracle.alpha(self.x, self.keep, self.p)
        return oracle.add(self.x, self.bits, factor, self.bias, self.residual)

    @property
    def dx(self) -> Any:
        """The expected result of the backward call."""
        factor = oracle.scale(self.p, self.scaling)
        if self.name == "alpha" and self.p < 1:
            factor = oracle.alpha_numbers(self.p)[0]
        return oracle.add(self.dy, self.bits, factor, None, self.residual)

    def mask(self, place: dict[str, Any]) -> Any:
        """The expected mask by rows."""
        if self.name.startswith("relu"):
            return oracle.pack(self.bits, 1)
        return oracle.pack_matrix(self.bits, **place)


def make(name: str, rows: int, cols: int, dtype: str, place: dict[str, Any], p: float = 0.3, **more: Any) -> Call:
    with_bias, with_residual = OPERATIONS[name]
    return Call(
        name,
        p,
        numbers(rows, cols, dtype=dtype),
        numbers(rows, cols, dtype=dtype),
        numbers(cols, dtype=dtype) if with_bias else None,
        numbers(rows, cols, dtype=dtype)[::-1].copy() if with_residual else None,
        decisions(rows, cols, p, tuple(place.items())),
        **more,
    )


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_contiguous(name: str, dtype: str, place: dict[str, Any], isa: str) -> None:
    for rows, cols in ((13, 40), (7, 37), (1, 9), (20, 1)):
        call = make(name, rows, cols, dtype, place)
        where = {**place, "isa": isa}
        y, mask = call.forward(**where)
        same(y, call.y)
        if place or call.bias is not None:
            np.testing.assert_array_equal(mask, call.mask(place))
        else:
            np.testing.assert_array_equal(mask, oracle.pack(call.bits))
        same(call.backward(mask, **where), call.dx)
        remade, nothing = call.forward(remade=True, **where)
        same(remade, call.y)
        assert nothing is None
        same(call.backward(None, **where), call.dx)


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_strides(name: str, dtype: str, place: dict[str, Any]) -> None:
    """Inputs, output and mask have different strides. Memory between the rows does not change."""
    rows, cols = 11, 29
    call = make(name, rows, cols, dtype, place)
    frames = {key: numbers(rows, 40 + i, dtype=dtype) for i, key in enumerate(("x", "dy", "residual", "out"))}
    part = {key: frame[:, 3 : 3 + cols] for key, frame in frames.items()}
    for key in ("x", "dy", "residual"):
        value = getattr(call, key)
        if value is None:
            part[key] = None
        else:
            part[key][:] = value
    strided = call._replace(x=part["x"], dy=part["dy"], residual=part["residual"])
    expected_mask = call.mask(place)
    bits = np.full((rows, 9), 0xA5, np.uint8)
    mask = bits[: len(expected_mask), 2:6] if expected_mask.ndim == 2 else np.zeros_like(expected_mask)
    before = frames["out"].copy()
    y, got = strided.forward(out=part["out"], mask=mask, **place)
    assert y is part["out"]
    assert got is mask
    same(y, call.y)
    np.testing.assert_array_equal(mask, expected_mask)
    if mask.base is bits:
        assert (bits[:, :2] == 0xA5).all()
        assert (bits[:, 6:] == 0xA5).all()
        assert (bits[len(mask) :] == 0xA5).all()
    same(strided.backward(mask, out=part["out"], **place), call.dx)
    same(strided.backward(None, out=part["out"], **place), call.dx)
    before[:, 3 : 3 + cols] = part["out"]
    same(frames["out"], before)
    same(strided.forward(**place)[0], call.y)


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("name", OPERATIONS)
def test_in_place(name: str, place: dict[str, Any]) -> None:
    call = make(name, 10, 33, "float32", place)
    x = call.x.copy()
    y, mask = call.forward(x=x, out=x, **place)
    assert y is x
    same(x, call.y)
    dx = call.dy.copy()
    assert call.backward(mask, dy=dx, out=dx, **place) is dx
    same(dx, call.dx)
    dx = call.dy.copy()
    call.backward(None, dy=dx, out=dx, **place)
    same(dx, call.dx)
    if call.residual is not None:
        y = call.residual.copy()
        call.forward(residual=y, out=y, **place)
        same(y, call.y)
        dx = call.residual.copy()
        call.backward(mask, residual=dx, out=dx, **place)
        same(dx, call.dx)


@pytest.mark.parametrize("scaling", ["train", "infer"])
@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", OPERATIONS)
def test_probabilities_and_scaling(name: str, p: float, scaling: str) -> None:
    call = make(name, 5, 24, "float32", {}, p, scaling=scaling)
    y, mask = call.forward()
    same(y, call.y)
    if p < 1:
        same(call.backward(mask), call.dx)
    same(call.backward(None), call.dx)


def test_in_place_of_the_x_of_relu() -> None:
    call = make("relu bias", 10, 33, "float32", {})
    x = call.x.copy()
    bitdrop.backward_act(call.dy, "relu", call.p, x=x, bias=call.bias, out=x, **STREAM)
    same(x, call.dx)


def test_same_array_twice() -> None:
    """The sum x + dropout(x), in place."""
    call = make("add residual", 6, 50, "float64", {})
    x = call.x.copy()
    call._replace(x=x, residual=x).forward(out=x)
    same(x, call._replace(residual=call.x).y)


@pytest.mark.parametrize("name", OPERATIONS)
def test_more_dimensions(name: str) -> None:
    """The last dimension is the columns. A mask by rows has two dimensions."""
    call = make(name, 12, 21, "float32", {})
    names = ("x", "dy", "residual", "keep")
    cube = call._replace(**{n: v.reshape(3, 4, 21) for n in names if (v := getattr(call, n)) is not None})
    for rows in (np.zeros((12, 3), np.uint8), None):
        y, mask = cube.forward(mask=rows)
        same(y, call.y.reshape(3, 4, 21))
        same(cube.backward(mask), call.dx.reshape(3, 4, 21))
        if mask.ndim == 2:
            np.testing.assert_array_equal(mask, call.mask({}))
    assert mask.shape == ((12, 3) if call.bias is not None else (32,))
    shared = make(name, 12, 21, "float32", {"mask_repeat": 4})
    cube = shared._replace(**{n: v.reshape(3, 4, 21) for n in names if (v := getattr(shared, n)) is not None})
    y, mask = cube.forward(mask_repeat=4)
    same(y, shared.y.reshape(3, 4, 21))
    np.testing.assert_array_equal(mask, shared.mask({"mask_repeat": 4}))
    one = call._replace(**{n: v[0] for n in names if (v := getattr(call, n)) is not None})
    same(one.forward()[0], call.y[0])
    same(one.backward(one.forward()[1]), call.dx[0])


def test_recompute_has_every_shape() -> None:
    for place in PLACES:
        call = make("plain", 8, 19, "float32", place)
        same(bitdrop.recompute(call.x, call.p, **STREAM, **place), call.y)


def test_parts_are_the_whole() -> None:
    """A matrix is cut by rows, with first_row, and by columns, with offset and pitch."""
    place: dict[str, Any] = {"mask_repeat": 3}
    whole = make("add residual", 12, 30, "float32", place)
    y = np.empty_like(whole.x)
    for rows in (slice(0, 5), slice(5, 12)):
        for cols in (slice(0, 11), slice(11, 30)):
            offset = STREAM["offset"] + cols.start
            options = {**STREAM, **place, "first_row": rows.start, "pitch": 30, "offset": offset}
            bitdrop.forward_add(
                whole.x[rows, cols], whole.p, residual=whole.residual[rows, cols], out=y[rows, cols], **options
            )
    same(y, whole.y)


def test_channels() -> None:
    """Channels-first data with unit="row" and channels-last data with mask_repeat have the same decisions."""
    n, c, h, w = 3, 5, 4, 2
    x = rng.standard_normal((n, c, h, w)).astype(np.float32)
    first, mask = bitdrop.forward(x.reshape(n * c, h * w), 0.4, seed=1, unit="row")
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    y, same_mask = bitdrop.forward(last, 0.4, seed=1, mask_repeat=h * w)
    same(np.ascontiguousarray(y.transpose(0, 3, 1, 2)), first.reshape(x.shape))
    keep = bitdrop.mask_unpack(mask, (n, c))
    np.testing.assert_array_equal(bitdrop.mask_unpack(same_mask, (n, c)), keep)
    np.testing.assert_array_equal(keep, (first.reshape(n, c, -1) != 0).any(2))
    assert not keep.all()


def test_no_elements() -> None:
    for shape in [(0,), (0, 4), (4, 0), (2, 0, 3)]:
        x = np.ones(shape, np.float32)
        bias = np.ones(shape[-1], np.float32)
        for options in ({}, {"unit": "row"}, {"mask_repeat": 2}):
            if options and len(shape) < 2:
                continue
            y, mask = bitdrop.forward(x, 0.5, seed=1, **options)
            assert y.shape == shape
            assert mask.size == 0
            assert bitdrop.backward(x, 0.5, mask, **options).shape == shape
            y, mask = bitdrop.forward_act(x, "relu", 0.5, bias=bias, seed=1, **options)
            assert mask.size == 0
            assert bitdrop.forward_add(x, 0.5, bias=bias, residual=x, seed=1, **options)[0].shape == shape
