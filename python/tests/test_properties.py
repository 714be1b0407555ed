# SPDX-License-Identifier: Apache-2.0
"""The public functions on arguments that hypothesis draws.

Valid calls return what the oracle computes, and agree with each other. Other calls raise errors of the package. A valid
call writes only to its outputs, and a wrong one writes nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import oracle
import pytest
from producer import Tensor
from test_attention import Case, both
from test_attention import near as near_attention
from test_attention import reference as attention_reference
from test_attention import same as same_attention
from test_hostile import HOSTILE, KIND, VALID, Raises, arguments_of, fresh, outcome
from test_operations import DTYPES, ISAS, OPERATIONS, Call, same

import bitdrop

pytest.importorskip("hypothesis")

from hypothesis import given, note, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy warns of infinities

MORE = settings(max_examples=4 * settings().max_examples)  # for cheap tests
Draw = Callable[..., Any]

# ---- Strategies.

PROBABILITIES = st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0**-30, 2.0**-70, 1 - 2.0**-30]) | st.floats(0, 1)
STREAMS = st.fixed_dictionaries(
    {"seed": st.integers(0, 2**64 - 1), "stream": st.integers(0, 2**32 - 1), "rounds": st.sampled_from([7, 10])}
)
CARRIES = st.sampled_from([0, 2**7, 2**32, 2**39, 2**63, 2**64])  # a counter carries, or a block ends, near these
OFFSETS = st.builds(lambda carry, below: max(0, carry - below), CARRIES, st.integers(0, 300))


def dtype_of(name: str) -> Any:
    return pytest.importorskip("ml_dtypes").bfloat16 if name == "bfloat16" else np.dtype(name)


def numbers(draw: Draw, dtype: Any, *shape: int) -> Any:
    """Random normal numbers. In some examples, special numbers replace a fifth of them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = rng.standard_normal(shape).astype(dtype)
    if draw(st.booleans()):
        special = np.array([np.inf, -0.0, np.nan, 0.0, -np.inf, 1e-7, 6e4, -3e38], np.float32)
        x = np.where(rng.random(shape) < 0.2, rng.choice(special, shape), x.astype(np.float64)).astype(dtype)
    return x


def places(draw: Draw, cols: int) -> dict[str, Any]:
    """Options of a call about rows."""
    place: dict[str, Any] = {}
    if draw(st.booleans()):
        place["mask_repeat"] = draw(st.integers(1, 5) | st.just(2**40))
    if draw(st.booleans()):
        place["first_row"] = draw(st.integers(0, 9) | st.integers(2**32 - 9, 2**32))
    unit = draw(st.sampled_from(["none", "pitch", "row"]))
    if unit == "pitch":
        place["pitch"] = cols + draw(st.integers(0, 9) | st.just(2**20))
    if unit == "row" and cols:
        place["unit"] = "row"
    return place


def offset_of(draw: Draw, rows: int, cols: int, place: dict[str, Any]) -> int:
    """An offset with which the last index of a call is below 2^64."""
    last = (place.get("first_row", 0) + max(rows, 1) - 1) // place.get("mask_repeat", 1)
    span = last + 1 if "unit" in place else last * place.get("pitch", cols) + cols
    return int(min(draw(OFFSETS), 2**64 - max(span, rows * cols)))


class Guarded:
    """A matrix in the middle of memory whose other bytes no call may change.

    array is the matrix, given is what calls get (array, or a DLPack tensor of it), and before is a copy of memory.
    """

    def __init__(self, draw: Draw, values: Any, *, strided: bool = True, written: bool = False) -> None:
        gap = draw(st.sampled_from([0, 0, 3])) if strided else 0
        self.shape, self.dtype = values.shape, values.dtype
        rows, cols = values.shape if values.ndim == 2 else (1, values.size)
        self.steps = ((cols + gap) * self.dtype.itemsize, self.dtype.itemsize)[2 - values.ndim :]
        self.memory = np.full(128 + rows * (cols + gap) * self.dtype.itemsize, 0xA5, np.uint8)
        self.array = self.view(self.memory)
        if not written:
            self.array[...] = values
        self.contiguous = gap == 0 or rows <= 1 or cols == 0
        self.before = self.memory.copy()
        bits = self.array.view(np.uint16) if self.dtype.name == "bfloat16" else self.array
        self.given: Any = Tensor(bits, versioned=draw(st.booleans())) if draw(st.booleans()) else self.array

    def view(self, memory: Any) -> Any:
        """The matrix in `memory`, which is this memory or a copy of it."""
        return np.ndarray(self.shape, self.dtype, memory, 64, self.steps)

    def check(self, expected: Any) -> None:
        """Check that the matrix is as expected, and that the bytes around it have not changed."""
        same(self.array, expected)
        wanted = self.before.copy()
        self.view(wanted)[...] = self.array
        np.testing.assert_array_equal(self.memory, wanted)


# ---- Valid calls.


@given(data=st.data())
@pytest.mark.parametrize("name", OPERATIONS)
def test_exact(name: str, data: Any) -> None:
    """Forward and backward, with a mask and with a seed, in place and not, return the oracle's values and masks."""
    draw = data.draw
    rows, cols = draw(st.integers(0, 7)), draw(st.integers(1, 70))
    dtype, p = dtype_of(draw(st.sampled_from(DTYPES))), draw(PROBABILITIES)
    with_bias, with_residual = OPERATIONS[name]
    place, stream = places(draw, cols), draw(STREAMS)
    stream["offset"] = offset_of(draw, rows, cols, place)
    scaling = "train" if name == "alpha" else draw(st.sampled_from(["train", "infer"]))
    x, dy = numbers(draw, dtype, rows, cols), numbers(draw, dtype, rows, cols)
    bias = numbers(draw, dtype, cols) if with_bias else None
    residual = numbers(draw, dtype, rows, cols) if with_residual else None
    keep = oracle.keep_matrix(rows, cols, p, **place, **stream)
    call = Call(name, p, x, dy, bias, residual, keep, scaling)
    how = {**place, "isa": draw(st.sampled_from(ISAS)), "stores": draw(st.sampled_from(["auto", "streaming"]))}
    given_x, given_dy, out = Guarded(draw, x), Guarded(draw, dy), Guarded(draw, x, written=True)
    third = None if residual is None else Guarded(draw, residual)
    beside = {} if third is None else {"residual": third.given}
    matrices = [given_x, given_dy, *([] if third is None else [third])]
    defaults = {"mask_repeat": 1, "first_row": 0}
    by_rows = bias is not None or any(defaults.get(key) != value for key, value in place.items())
    by_rows = by_rows or not all(matrix.contiguous for matrix in (given_x, out, *([] if third is None else [third])))
    mask = Guarded(draw, call.mask(place) if by_rows else oracle.pack(call.bits), written=True)

    y, bits = call.forward(x=given_x.given, out=out.given, mask=mask.given, **beside, **how, **stream)
    assert y is out.given
    assert bits is mask.given
    out.check(call.y)
    mask.check(call.mask(place) if by_rows else oracle.pack(call.bits))
    mask.before = mask.memory.copy()
    remade, nothing = call.forward(x=given_x.given, remade=True, **beside, **how, **stream)
    assert nothing is None
    same(remade, call.y)
    if mask.array.ndim == 2 or (given_dy.contiguous and cols % 8 == 0) or all(r.contiguous for r in matrices):
        same(call.backward(mask.given, dy=given_dy.given, **beside, **how), call.dx)
    same(call.backward(None, dy=given_dy.given, **beside, **how, **stream), call.dx)
    if name == "plain":
        options = {"scaling": scaling, **how, **stream}
        same(bitdrop.recompute(given_x.given, p, **options), call.y)
        alone = bitdrop.mask((rows, cols), p, isa=how["isa"], **place, **stream)
        np.testing.assert_array_equal(alone, call.mask(place))
        factor = 1.0 if scaling == "train" or p == 1 else 1 - p
        kept = np.full(x.shape, scaling == "train" or p < 1)
        if scaling == "infer":
            same(bitdrop.infer(given_x.given, p, scaling=scaling), oracle.apply(x, kept, factor))
    for matrix in matrices:
        np.testing.assert_array_equal(matrix.memory, matrix.before)
    call.forward(x=given_x.given, out=given_x.given, remade=True, **beside, **how, **stream)
    given_x.check(call.y)


@MORE
@given(data=st.data())
def test_cuts(data: Any) -> None:
    """Parts of a matrix have the bits of the whole on any ISA, if each call passes the place of its part."""
    draw = data.draw
    rows, cols = draw(st.integers(2, 9)), draw(st.integers(2, 60))
    x, p, stream = numbers(draw, np.dtype("f4"), rows, cols), draw(st.floats(0, 0.99)), draw(STREAMS)
    place = {"mask_repeat": draw(st.integers(1, 4)), "first_row": draw(st.integers(0, 9))}
    offset = offset_of(draw, rows, cols, place)
    call: Any = draw(st.sampled_from([bitdrop.recompute, bitdrop.gaussian]))
    isas = st.sampled_from(ISAS) if call is bitdrop.recompute else st.just(None)
    whole = call(x, p, offset=offset, pitch=cols, **place, **stream, isa=draw(isas))
    r, c = draw(st.integers(1, rows - 1)), draw(st.integers(1, cols - 1))
    parts = np.empty_like(x)
    for row_slice, col_slice in itertools.product([slice(0, r), slice(r, rows)], [slice(0, c), slice(c, cols)]):
        part_options = {**place, "first_row": place["first_row"] + row_slice.start, "offset": offset + col_slice.start}
        part = row_slice, col_slice
        call(x[part], p, out=parts[part], pitch=cols, **part_options, **stream, isa=draw(isas))
    same(parts, whole)
    flat, n = x.ravel(), draw(st.integers(0, x.size - 1))  # offset + x.size may be 2**64
    ends = [call(flat[:n], p, offset=offset, **stream), call(flat[n:], p, offset=offset + n, **stream)]
    same(np.concatenate(ends), call(flat, p, offset=offset, **stream))


@given(data=st.data())
@pytest.mark.parametrize("act", ["gelu", "gelu_tanh", "silu"])
def test_smooth_activations(act: str, data: Any) -> None:
    """The result is dropout of the result of the same call with p = 0."""
    draw = data.draw
    rows, cols, p = draw(st.integers(1, 7)), draw(st.integers(1, 70)), draw(PROBABILITIES)
    dtype, place, stream = np.dtype(draw(st.sampled_from(["f4", "f8"]))), places(draw, cols), draw(STREAMS)
    stream["offset"] = offset_of(draw, rows, cols, place)
    x, dy = Guarded(draw, numbers(draw, dtype, rows, cols)), Guarded(draw, numbers(draw, dtype, rows, cols))
    bias = numbers(draw, dtype, cols) if draw(st.booleans()) else None
    keep = oracle.keep_matrix(rows, cols, p, **place, **stream)
    how = {"bias": bias, **place}
    y, mask = bitdrop.forward_act(x.given, act, p, **how, **stream)
    plain, _ = bitdrop.forward_act(x.given, act, 0, seed=0, remade=True, bias=bias)
    same(y, oracle.apply(plain, keep, oracle.scale(p)))
    dx = bitdrop.backward_act(dy.given, act, p, x=x.given, **how, **stream)
    assert not dx[~keep].any()
    if mask.ndim == 2 or "unit" in place or (x.contiguous and dy.contiguous):
        same(bitdrop.backward_act(dy.given, act, p, mask, x=x.given, **how), dx)
    same(bitdrop.forward_act(x.given, act, p, remade=True, **how, **stream)[0], y)


@MORE
@given(data=st.data())
def test_softmax(data: Any) -> None:
    draw = data.draw
    rows, cols, p = draw(st.integers(1, 7)), draw(st.integers(1, 70)), draw(PROBABILITIES)
    dtype, place, stream = np.dtype(draw(st.sampled_from(["f4", "f8"]))), places(draw, cols), draw(STREAMS)
    stream["offset"] = offset_of(draw, rows, cols, place)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x, dy = (rng.standard_normal((rows, cols)).astype(dtype) for _ in range(2))
    soft = {"scale": draw(st.floats(0.1, 3)), "causal_rows": draw(st.integers(0, 9))}
    soft["causal_first"] = draw(st.integers(-3, 70)) if soft["causal_rows"] else 0
    lse = np.empty(rows, dtype)
    y, prob, mask = bitdrop.forward_softmax(Guarded(draw, x).given, p, lse=lse, **soft, **place, **stream)
    keep = oracle.keep_matrix(rows, cols, p, **place, **stream)
    same(y, oracle.apply(prob, keep, oracle.scale(p)))
    row = place.get("first_row", 0) + np.arange(rows)
    seen = (
        np.arange(cols) <= (soft["causal_first"] + row % soft["causal_rows"])[:, None] if soft["causal_rows"] else True
    )
    t = np.where(seen, soft["scale"] * x.astype(np.float64), -np.inf)
    total = np.exp(t).sum(axis=1)
    tolerance = 1e-12 if dtype == "f8" else 1e-5
    np.testing.assert_allclose(prob, np.exp(t) / np.where(total == 0, 1, total)[:, None], tolerance, tolerance)
    np.testing.assert_allclose(lse, np.log(total), tolerance, tolerance)
    dx = bitdrop.backward_softmax(Guarded(draw, dy).given, p, prob=prob, **soft, **place, **stream)
    same(bitdrop.backward_softmax(dy, p, mask, prob=prob, **soft, **place), dx)
    given_x = Guarded(draw, x)
    bitdrop.forward_softmax(given_x.given, p, out=given_x.given, prob=False, remade=True, **soft, **place, **stream)
    given_x.check(y)


@given(data=st.data())
def test_attention(data: Any) -> None:
    """The results are those of the formulas, with a mask and with a seed, as one call and by samples and heads."""
    draw = data.draw
    kv_heads, group = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    sizes = [draw(st.integers(1, most)) for most in (2, 5, 20, 9, 9)]
    case = Case(sizes[0], kv_heads * group, kv_heads, *sizes[1:])
    shapes = [None, case.scores, (case.queries, case.keys), (case.batch, 1, 1, case.keys)]
    case = case._replace(bias=draw(st.sampled_from(shapes)))
    dtype, p = draw(st.sampled_from(["float32", "float64"])), draw(st.sampled_from([0.0, 0.3, 0.9]))
    stream = {**draw(STREAMS), "offset": offset_of(draw, math.prod(case.scores[:3]), case.keys, {})}
    how = {"scale": draw(st.none() | st.floats(0.1, 2)), "causal": draw(st.booleans())}
    how["causal_first"] = draw(st.integers(-3, 20)) if how["causal"] else 0
    rng, x = np.random.default_rng(draw(st.integers(0, 2**32))), case.inputs(dtype)
    for array in x.values():
        if array is not None:  # -inf in the bias stays, so that hidden keys stay hidden
            array[...] = np.where(np.isinf(array), array, rng.standard_normal(array.shape))
    got = both(x, p, **how, **stream)
    keep = oracle.keep_flat(math.prod(case.scores), p, **stream).reshape(case.scores)
    expected = attention_reference(x, keep / (1 - p), how["scale"], how["causal"], how["causal_first"])
    with np.errstate(invalid="ignore"):
        near_attention(got, expected, dtype, 1 / (1 - p))
    note(f"{case} {dtype}")
    given = {"bias": x["bias"], **how}
    out, lse, mask = bitdrop.attention(x["q"], x["k"], x["v"], p, mask=True, **given, **stream)
    same_attention({"out": out, "lse": lse}, got)
    np.testing.assert_array_equal(mask, oracle.pack(keep.reshape(-1, case.keys), 1))
    grads = bitdrop.attention_backward(x["dout"], x["q"], x["k"], x["v"], p, mask, out=out.copy(), lse=lse, **given)
    same_attention(dict(zip(("dq", "dk", "dv"), grads, strict=True)), got)
    if case.bias is None:
        parts = np.empty_like(out)
        for b, h in itertools.product(range(case.batch), range(kv_heads)):
            heads = np.s_[b : b + 1, h * group : (h + 1) * group]
            offset = stream["offset"] + (b * case.heads + h * group) * case.queries * case.keys
            kv = np.s_[b : b + 1, h : h + 1]
            bitdrop.attention(
                x["q"][heads],
                x["k"][kv],
                x["v"][kv],
                p,
                out=parts[heads],
                lse=False,
                **how,
                **{**stream, "offset": offset},
            )
        np.testing.assert_array_equal(parts, out)


@MORE
@given(data=st.data())
def test_gaussian(data: Any) -> None:
    draw = data.draw
    rows, cols, p = draw(st.integers(0, 7)), draw(st.integers(1, 70)), draw(st.floats(0, 0.99))
    place, stream = places(draw, cols), draw(STREAMS)
    offset = offset_of(draw, rows, cols, place)
    x, out = Guarded(draw, np.ones((rows, cols))), Guarded(draw, np.ones((rows, cols)), written=True)
    index = oracle.indices(rows, cols, offset=offset, **place)
    assert bitdrop.gaussian(x.given, p, out=out.given, offset=offset, **place, **stream) is out.given
    noise = oracle.noise(index, stream["seed"], stream["stream"], stream["rounds"])
    np.testing.assert_allclose(out.array, 1 + math.sqrt(p / (1 - p)) * noise, rtol=1e-6, atol=1e-5)
    out.check(bitdrop.gaussian(x.given, p, offset=offset, **place, **stream))


@MORE
@given(data=st.data())
def test_masks(data: Any) -> None:
    """Pack, count and unpack a mask; and the mask of DropBlock."""
    draw = data.draw
    keep = draw(hnp.arrays(np.bool_, st.tuples(st.integers(0, 9), st.integers(1, 40))))
    source, by_rows = Guarded(draw, keep), draw(st.booleans())
    mask = Guarded(draw, oracle.pack(keep, 1) if by_rows or not source.contiguous else oracle.pack(keep), written=True)
    bitdrop.mask_pack(source.given, rows=by_rows, out=mask.given)
    mask.check(oracle.pack(keep, 1) if mask.array.ndim == 2 else oracle.pack(keep))
    assert bitdrop.mask_count(mask.given, keep.shape) == bitdrop.mask_count(mask.given) == keep.sum()
    out = Guarded(draw, keep, written=True, strided=mask.array.ndim == 2)
    bitdrop.mask_unpack(mask.given, keep.shape, out=out.given)
    out.check(keep)
    planes, height, width = (draw(st.integers(1, most)) for most in (3, 7, 20))
    p, block, stream = draw(PROBABILITIES), draw(st.integers(1, min(height, width))), draw(STREAMS)
    bits, kept = bitdrop.mask_dropblock((planes, height, width), p, block, **stream)
    squares = oracle.dropblock(planes, height, width, p, block, **stream)
    np.testing.assert_array_equal(bits, oracle.pack(squares.reshape(-1, width), 1))
    assert kept == squares.sum()


# ---- Calls with any arguments.

SMALL = st.integers(-3, 70)
INTEGERS = SMALL | st.integers(min_value=2**56) | st.integers(max_value=-(2**56))  # a mask of 2^40 bits would take long
TYPES = ["f4", "f8", "f2", "u1", "?", "i8", ">f4", "c8", "O", "U1", "V0", "M8[s]"]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=16)
VALID_SHAPES = st.sampled_from([(4, 16), (8,), (4, 2), (32,), (1, 2, 3, 8), (16,)])  # shapes in VALID
ARRAYS = st.builds(
    lambda shape, dtype, transposed: np.zeros(shape, dtype).T if transposed else np.zeros(shape, dtype),
    SHAPES | VALID_SHAPES,
    st.sampled_from(TYPES),
    st.booleans(),
)
SCALARS = st.none() | st.booleans() | st.floats() | INTEGERS | st.decimals() | st.fractions() | st.complex_numbers()
WORDS = st.text(max_size=5) | st.binary(max_size=5) | st.sampled_from(["train", "infer", "row", "auto", "relu", "gelu"])
TUPLES = st.lists(INTEGERS, max_size=4).map(tuple)
TENSORS = st.builds(
    lambda shape, dtype, versioned, flags: Tensor(np.zeros(shape, dtype), versioned=versioned, flags=flags),
    SHAPES | VALID_SHAPES,
    st.sampled_from(["f4", "u1", "?", "u2"]),
    st.booleans(),
    st.integers(0, 7),
)
ANYTHING = SCALARS | WORDS | TUPLES | ARRAYS | TENSORS | st.builds(object) | st.builds(Raises)


@MORE
@given(data=st.data())
@pytest.mark.parametrize("name", VALID)
def test_any_arguments(name: str, data: Any) -> None:
    """A call with any values returns a result, or raises an error of the package and writes nothing."""
    given = fresh(data.draw(st.sampled_from(VALID[name])))
    for argument in data.draw(st.sets(st.sampled_from(sorted(arguments_of(name) or {"no_such"})), max_size=3)):
        given[argument] = data.draw(ANYTHING | st.sampled_from(HOSTILE[KIND.get(argument, "integer")]), label=argument)
    arrays = {key: getattr(value, "array", value) for key, value in given.items()}
    before = fresh(arrays)
    error = outcome(lambda: getattr(bitdrop, name)(**given))
    if error is None:
        return
    unknown = type(error) is TypeError and "no_such" in given  # Python itself raises this error
    assert unknown or isinstance(error, bitdrop.BitdropError), repr(error)
    for key, array in before.items():
        if isinstance(array, np.ndarray):
            np.testing.assert_array_equal(arrays[key], array, err_msg=key)


LENGTHS = st.sampled_from([0, 1, 2, 3, 7]) | st.sampled_from([-1, -(2**63), 2**56, 2**62, 2**63 - 1])
STEPS = st.sampled_from([0, 1, 2, 4, 8, 16]) | st.sampled_from([-1, 2**63 - 1, -(2**63)])
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "ndim": st.sampled_from([-(2**31), -1, 0, 65, 2**31 - 1]),
        "byte_offset": st.sampled_from([0, 2, 64, 65, 96, 2**64 - 96, 2**64 - 1]),
        "code": st.integers(0, 255),
        "bits": st.sampled_from([0, 1, 8, 16, 32, 64, 255]),
        "lanes": st.sampled_from([0, 1, 2, 2**16 - 1]),
        "device": st.integers(-2, 20),
        "flags": st.integers(0, 2**64 - 1),
        "major": st.integers(0, 3),
        "versioned": st.booleans(),
        "null_strides": st.booleans(),
        "shape": st.none(),
        "data": st.none(),
    },
)


@settings(max_examples=20 * settings().max_examples)
@given(data=st.data(), lengths=st.lists(st.tuples(LENGTHS, STEPS), max_size=4), fields=FIELDS)
def test_any_tensor(data: Any, lengths: Any, fields: dict[str, Any]) -> None:
    """A tensor with any fields is read as NumPy would read it, or refused."""
    memory = np.random.default_rng(1).standard_normal(1024).astype(np.float32)
    dims, steps = tuple(zip(*lengths, strict=True)) or ((), ())
    t = Tensor(memory[256:512], dims=dims, steps=steps, **fields)
    error = outcome(lambda: bitdrop.infer(t, 0.5))
    assert error is None or isinstance(error, bitdrop.BitdropError), repr(error)
    if error is not None or fields.keys() & {"code", "bits"}:
        return
    n = fields.get("ndim", len(dims))
    assert n in (0, len(dims))
    dims, steps = dims[:n], steps[:n]
    if fields.get("null_strides"):
        steps = tuple(math.prod(dims[i + 1 :]) for i in range(n))
    reach = [4 * step * (length > 1) for length, step in zip(dims, steps, strict=True)]
    first = 256 + (fields.get("byte_offset", 64) - 64) // 4
    got = bitdrop.infer(t, 0.5)
    if 0 in dims:
        assert (got.shape, got.dtype) == (dims, np.float32)
    else:
        same(got, np.lib.stride_tricks.as_strided(memory[first:], dims, reach).copy())
