# SPDX-License-Identifier: Apache-2.0
"""The operations of the library on rows and columns, as src/operations.h lists them.

A test compares the two lists. It fails if a new operation is not in this one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from ctypes import c_int, c_void_p
from typing import Any, NamedTuple

from . import _library

FIRST, THIRD, THIRD_OR_NULL, BIAS = "FIRST", "THIRD", "THIRD_OR_NULL", "BIAS"
ROW_BIAS, PROB = "ROW_BIAS", "PROB"
WRITTEN, READ, MADE, NOISE, NONE = "WRITTEN", "READ", "MADE", "NOISE", "NONE"
ACTIVATIONS = {"relu": 1, "gelu": 2, "gelu_tanh": 3, "silu": 4}


class Operation(NamedTuple):
    """A row of BITDROP_OPERATIONS in src/operations.h, which explains the words in capitals."""

    function: str  # bitdrop_<function>
    arguments: str  # the names of its arguments in bitdrop.h, but the name of the activation instead of act
    inputs: dict[str, str]  # the kind of each input: FIRST, THIRD, THIRD_OR_NULL, BIAS, ROW_BIAS or PROB
    bits: str  # WRITTEN, READ, MADE, NOISE or NONE
    # The stored mask has marks: one bit for each element, which the body computes. A call that reads it reads no input
    # but FIRST.
    marks: bool = False

    @property
    def first(self) -> str:
        """Name of the input that has the shape and the dtype of the output."""
        return next(iter(self.inputs))


OPERATIONS = {
    "mask": Operation("mask_2d", "cfg shape mask", {}, WRITTEN),
    "forward": Operation("forward_2d", "cfg t shape x y mask", {"x": FIRST}, WRITTEN),
    "backward": Operation("backward_2d", "cfg t shape dy dx mask", {"dy": FIRST}, READ),
    "recompute": Operation("recompute_2d", "cfg t shape x y", {"x": FIRST}, MADE),
    "infer": Operation("infer_2d", "cfg t shape x y", {"x": FIRST}, NONE),
    "forward_add": Operation(
        "forward_add",
        "cfg t shape x bias residual y mask",
        {"x": FIRST, "bias": BIAS, "residual": THIRD_OR_NULL},
        WRITTEN,
    ),
    "backward_add": Operation(
        "backward_add", "cfg t shape dy residual dx mask", {"dy": FIRST, "residual": THIRD_OR_NULL}, READ
    ),
    "forward_relu": Operation(
        "forward_act", "cfg t shape relu x bias y mask", {"x": FIRST, "bias": BIAS}, WRITTEN, marks=True
    ),
    "backward_relu": Operation(
        "backward_act",
        "cfg t shape relu dy x bias dx mask",
        {"dy": FIRST, "x": THIRD, "bias": BIAS},
        READ,
        marks=True,
    ),
    "forward_gelu": Operation("forward_act", "cfg t shape gelu x bias y mask", {"x": FIRST, "bias": BIAS}, WRITTEN),
    "backward_gelu": Operation(
        "backward_act", "cfg t shape gelu dy x bias dx mask", {"dy": FIRST, "x": THIRD, "bias": BIAS}, READ
    ),
    "forward_gelu_tanh": Operation(
        "forward_act", "cfg t shape gelu_tanh x bias y mask", {"x": FIRST, "bias": BIAS}, WRITTEN
    ),
    "backward_gelu_tanh": Operation(
        "backward_act", "cfg t shape gelu_tanh dy x bias dx mask", {"dy": FIRST, "x": THIRD, "bias": BIAS}, READ
    ),
    "forward_silu": Operation("forward_act", "cfg t shape silu x bias y mask", {"x": FIRST, "bias": BIAS}, WRITTEN),
    "backward_silu": Operation(
        "backward_act", "cfg t shape silu dy x bias dx mask", {"dy": FIRST, "x": THIRD, "bias": BIAS}, READ
    ),
    "forward_alpha": Operation("forward_alpha", "cfg t shape x y mask", {"x": FIRST}, WRITTEN),
    "backward_alpha": Operation("backward_alpha", "cfg t shape dy dx mask", {"dy": FIRST}, READ),
    "forward_softmax": Operation(
        "forward_softmax", "cfg t shape soft x prob y mask", {"x": FIRST, "bias": ROW_BIAS, "prob": PROB}, WRITTEN
    ),
    "backward_softmax": Operation(
        "backward_softmax", "cfg t shape soft dy prob dx mask", {"dy": FIRST, "prob": THIRD}, READ
    ),
    "gaussian": Operation("gaussian", "cfg t shape x y", {"x": FIRST}, NOISE),
}

_TYPES = {
    "cfg": ctypes.POINTER(_library.Config),
    "t": c_int,
    "shape": ctypes.POINTER(_library.Shape2D),
    "soft": ctypes.POINTER(_library.Softmax),
    **dict.fromkeys(ACTIVATIONS, c_int),
}


def _declare(operation: Operation) -> tuple[Any, tuple[str, ...]]:
    names = tuple(operation.arguments.split())
    return _library.declare_call(f"bitdrop_{operation.function}", *(_TYPES.get(n, c_void_p) for n in names)), names


_functions = {name: _declare(operation) for name, operation in OPERATIONS.items()}


def call(name: str, values: Mapping[str, Any]) -> None:
    """Call an operation. values has all arguments except the activation: structures, addresses, None for NULL."""
    function, names = _functions[name]
    function(*[ACTIVATIONS[n] if n in ACTIVATIONS else values[n] for n in names])
