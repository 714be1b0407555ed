# SPDX-License-Identifier: Apache-2.0
"""Calls of the library on arrays. All operations of _operations.py except mask go through run()."""

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
    """Options of every call."""

    isa: str | None


class StreamOptions(IsaOptions, total=False):
    """Options of calls that make mask bits."""

    stream: int
    offset: int
    rounds: int


class MaskOptions(StreamOptions, total=False):
    """Options of calls that make mask bits for rows and columns."""

    pitch: int | None
    unit: str
    mask_repeat: int
    first_row: int


class AttentionOptions(StreamOptions, total=False):
    """Options of attention."""

    scaling: str
    index_heads: int | None
    index_queries: int | None
    index_keys: int | None


class InferOptions(IsaOptions, total=False):
    """Options of calls on data that use no mask bits."""

    scaling: str
    stores: str


class CallOptions(MaskOptions, InferOptions, total=False):
    """Options of calls on data that read or make mask bits."""


_ROWS = frozenset(("pitch", "unit", "mask_repeat", "first_row", "index_heads", "index_queries", "index_keys"))


def split(function: str, options: Mapping[str, Any], allowed: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options for _library.config(), and those about rows or a whole tensor. A name not in `allowed` is an error.

    function is the name of the caller, for the message.
    """
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
    """A view of each input, or None if it is left out.

    by_marks: a stored mask of marks is read. It replaces all inputs except the first, so these are not looked at.
    """
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
            raise BitdropTypeError(f"{name} is needed: pass that of the forward call")
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
    """Run an operation on arrays.

    Args:
        name: key of OPERATIONS.
        p: probability that an element is dropped.
        inputs: the arrays that the operation reads, by their names in OPERATIONS; None if one is left out.
        options: some of CallOptions, or of InferOptions if the operation uses no mask bits.
        seed: key of the generator, if the call makes bits.
        out: array for the output; None for a new one.
        mask: the mask to read, or an array for the mask to write; None for a new one.
        remade: whether no mask is kept in memory.
        soft: further arguments of softmax calls.

    Returns:
        (output, mask): new arrays or those that were passed; mask is None if the operation has none in memory.
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
    """Run an operation that makes a mask. Returns its output, and the mask or, if remade, None."""
    remade = _library.flag(remade, "remade")
    if remade and mask is not None:
        raise BitdropValueError("mask must be left out with remade=True: no mask is kept then")
    return run(name, p, inputs, options, seed=seed, out=out, mask=mask, remade=remade, soft=soft)


def mask_or_seed() -> BitdropTypeError:
    """The error of a backward call that has both mask and seed, or neither."""
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
    """Run an operation that reads a mask or, given a seed, makes its bits again. Returns its output."""
    if (mask is None) == (seed is None):
        raise mask_or_seed()
    return run(
        name, p, inputs, options, mask=mask, seed=0 if seed is None else seed, out=out, remade=mask is None, soft=soft
    )[0]
