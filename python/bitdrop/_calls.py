# SPDX-License-Identifier: Apache-2.0
"""From arrays to a call of the library: the one path of all operations on data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from . import _arrays, _library, _operations, _shapes, _softmax
from ._arrays import Array, View
from ._operations import (
    BIAS,
    FIRST,
    NONE,
    OPERATIONS,
    PROB,
    READ,
    ROW_BIAS,
    THIRD,
    THIRD_OR_NULL,
    WRITTEN,
    Operation,
)
from .errors import BitdropTypeError, BitdropValueError


class IsaOptions(TypedDict, total=False):
    """Of every call."""

    isa: str | None


class StreamOptions(IsaOptions, total=False):
    """Of calls that make bits."""

    stream: int
    offset: int
    rounds: int


class MaskOptions(StreamOptions, total=False):
    """Of calls that make bits of rows and columns."""

    pitch: int | None
    unit: str
    mask_repeat: int
    first_row: int


class AttentionOptions(StreamOptions, total=False):
    """Of attention."""

    scaling: str
    index_heads: int | None
    index_queries: int | None
    index_keys: int | None


class InferOptions(IsaOptions, total=False):
    """Of calls on data."""

    scaling: str
    stores: str


class CallOptions(MaskOptions, InferOptions, total=False):
    """Of calls on data that take or make bits."""


_ROWS = frozenset(("pitch", "unit", "mask_repeat", "first_row", "index_heads", "index_queries", "index_keys"))


def split(function: str, options: Mapping[str, Any], allowed: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options that go to the config, and those about rows or a whole. Other names are an error."""
    if not options:
        return {}, {}
    names = allowed.__optional_keys__
    for name in options:
        if name not in names:
            raise BitdropTypeError(
                f"{function.removesuffix('_2d')}() has no argument {name!r}; it has {', '.join(sorted(names))}"
            )
    about_rows = {name: value for name, value in options.items() if name in _ROWS}
    return {name: value for name, value in options.items() if name not in _ROWS}, about_rows


def _operands(operation: Operation, inputs: Mapping[str, Array | None], by_marks: bool) -> dict[str, View | None]:
    """A view of each input, None where it is left out. With marks in memory, no input but the first is read."""
    first = _arrays.data(inputs[operation.first], operation.first)
    views: dict[str, View | None] = {operation.first: first}
    for name, kind in list(operation.inputs.items())[1:]:
        x = None if by_marks else inputs[name]
        if x is not None and kind == PROB:
            views[name] = _arrays.output(x, first, name)[1]
        elif x is not None:
            viewed = {BIAS: _arrays.bias, ROW_BIAS: _arrays.row_bias}.get(kind, _arrays.matrix)
            views[name] = viewed(x, name, first)
        elif kind == THIRD and not by_marks:
            raise BitdropTypeError(f"{name} is needed: pass what the forward call had")
        else:
            views[name] = None
    return views


def run(
    name: str,
    p: float,
    inputs: Mapping[str, Array | None],
    options: Mapping[str, Any],
    *,
    seed: int = 0,
    out: Array | None = None,
    mask: Array | None = None,
    remade: bool = False,
    soft: _softmax.Soft | None = None,
) -> tuple[Any, Any]:
    """An operation on arrays.

    Args:
        name: that of src/operations.h.
        p: probability that an element is dropped.
        inputs: the arrays that the operation reads, by their names in the list; None where one is left out.
        options: some of CallOptions; of an operation that takes no bits, of InferOptions.
        seed: key of the generator, where bits are made.
        out: array for the output; None for a new one.
        mask: array for the mask, or the mask to read.
        remade: there is no mask in memory.
        soft: of softmax calls, whose rows are those of the array.

    Returns:
        (output, mask): new ones or those given, with None for a mask that is not in memory.
    """
    operation = OPERATIONS[name]
    settings, about_rows = split(operation.function, options, InferOptions if operation.bits == NONE else CallOptions)
    cfg = _library.config(p, seed=seed, remade=remade, **settings)
    stored = operation.bits in (WRITTEN, READ) and not remade

    views = _operands(operation, inputs, by_marks=stored and operation.marks and operation.bits == READ)
    kinds = {kind: views[key] for key, kind in operation.inputs.items()}
    first = kinds[FIRST]
    assert first is not None
    y, target = _arrays.output(out, first)
    third = kinds.get(THIRD) or kinds.get(THIRD_OR_NULL) or kinds.get(PROB)
    strides = (first.row_stride, target.row_stride, third.row_stride if third else None)

    rows = _shapes.rows(first.shape, **about_rows) if about_rows else _shapes.UNUSED
    by_rows = rows.used or kinds.get(BIAS) is not None or any(strides) or soft is not None
    bits = None
    if stored:
        shapes = _shapes.mask_shapes(first.shape, rows, by_rows, operation.marks)
        if operation.bits == WRITTEN:
            mask, bits = _arrays.mask_output(mask, shapes[0], "mask")
        else:
            bits = _arrays.mask_input(mask)
        _shapes.check_mask(bits, shapes, first.shape)
        by_rows = by_rows or len(bits.shape) == 2
    values: dict[str, Any] = {key: view and view.address for key, view in views.items()}
    values["cfg"] = cfg
    values["t"] = _arrays.CODES[first.dtype]
    values["shape"] = _shapes.shape_2d(first.shape, rows if by_rows else None, strides, bits)
    if soft is not None:
        values["soft"] = _softmax.structure(soft, first, rows, kinds.get(ROW_BIAS))
    values["y"] = values["dx"] = target.address
    values["mask"] = bits and bits.address
    _operations.call(name, values)
    return y, mask


def forward(
    name: str,
    p: float,
    inputs: Mapping[str, Array | None],
    options: Mapping[str, Any],
    *,
    seed: int,
    out: Array | None,
    mask: Array | None,
    remade: bool,
    soft: _softmax.Soft | None = None,
) -> tuple[Any, Any]:
    """An operation that makes a mask: its output, and the mask or None."""
    remade = _library.flag(remade, "remade")
    if remade and mask is not None:
        raise BitdropValueError("mask must be left away with remade=True: no mask is kept then")
    return run(name, p, inputs, options, seed=seed, out=out, mask=mask, remade=remade, soft=soft)


def mask_or_seed() -> BitdropTypeError:
    """The error of a backward call that has both or neither."""
    return BitdropTypeError(
        "pass either mask, as the forward call returned it, or the forward call's seed, to make the bits again"
    )


def backward(
    name: str,
    p: float,
    inputs: Mapping[str, Array | None],
    options: Mapping[str, Any],
    *,
    mask: Array | None,
    seed: int | None,
    out: Array | None,
    soft: _softmax.Soft | None = None,
) -> Any:
    """An operation that reads a mask, or makes its bits again from the seed: its output."""
    if (mask is None) == (seed is None):
        raise mask_or_seed()
    return run(
        name, p, inputs, options, mask=mask, seed=0 if seed is None else seed, out=out, remade=mask is None, soft=soft
    )[0]
