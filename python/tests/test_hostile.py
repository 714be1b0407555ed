# SPDX-License-Identifier: Apache-2.0
"""Each argument of each function, replaced by wrong values, among them objects whose methods lie or raise.

The package raises an error that names the argument, and nothing is written.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from producer import Tensor

import bitdrop

X = np.ones((4, 16), np.float32)


def outcome(call: Callable[[], Any]) -> BaseException | None:
    try:
        call()
    except Exception as error:
        return error
    return None


class Raises:
    """An object whose methods all raise."""

    def _fail(self, *_: Any) -> Any:
        raise RuntimeError("no")

    __index__ = __int__ = __float__ = __bool__ = __len__ = __iter__ = __add__ = __radd__ = __getitem__ = _fail
    __le__ = __lt__ = __ge__ = __gt__ = __eq__ = __ne__ = __repr__ = __str__ = _fail
    __hash__ = None  # type: ignore[assignment]


class Index:
    """An object whose __index__ does not return an integer."""

    def __index__(self) -> Any:
        return "one"


class Lies(float):
    """A number that compares as 0.5, and converts to 7."""

    def __float__(self) -> float:
        return 7.0


ANY: list[Any] = [Raises(), object(), [1], (1, 2), {}, "1", b"1", 1j, np.array([1, 2]), np.array("0.5"), X]
DIGITS = 10**5000  # more digits than Python prints
HOSTILE: dict[str, list[Any]] = {
    "integer": [*ANY, DIGITS, -DIGITS, -1, 2**64, 1.0, float("nan"), Decimal(1), Fraction(1), np.float64(1), Index()],
    "signed": [*ANY, DIGITS, -DIGITS, 2**63, -(2**63) - 1, 1.0, Index()],
    "p": [*ANY, None, DIGITS, -DIGITS, 10**400, -1e-300, 1.0000000000000002, float("nan"), float("inf"), Lies(0.5)],
    "scale": [*ANY, DIGITS, 10**400, 0, -0.0, float("nan"), float("-inf"), np.float32("inf")],
    "choice": [*ANY, 0, "", "NO", Mock(spec=str)],
    "flag": [Raises(), np.array([1, 2])],
    "array": [*ANY[:-3], 1.0, X.astype("i4"), X.astype(">f4"), X.astype("O"), X.astype("c8"), np.zeros(3, "V0"),
              np.zeros((4, 4), "V3").T, np.zeros((4, 4), "S1"), np.zeros(4, "M8[s]"), np.zeros(4, "f4,f4"),
              np.ma.masked_array(X, X > 0), Tensor(X, shape=None)],
    "shape": [*ANY[:-3], DIGITS, -1, 2**63, (2**62, 2**62), (-1, 4), (0, -1), (Raises(), 4), (4, DIGITS), 1.5, X],
}  # fmt: skip
for number in (Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Fraction(10**30 + 1, 10**30)):
    HOSTILE["p"].append(number)
HOSTILE["scale"] += [Decimal("NaN"), Decimal("sNaN")]

KINDS = {
    "integer": "seed stream offset rounds pitch mask_repeat first_row bias_block bias_repeat causal_rows index_heads "
    "index_queries index_keys block n",
    "signed": "causal_first",
    "p": "p",
    "scale": "scale",
    "choice": "scaling stores isa unit act name",
    "flag": "remade causal rows",
    "array": "x dy q k v dout keep mask out bias residual prob lse dq dk dv",
    "shape": "shape",
}
KIND = {name: kind for kind, names in KINDS.items() for name in names.split()}

Q = np.ones((1, 2, 3, 8), np.float32)
BITS = np.full(4, 0xFF, np.uint8)
# Valid arguments for each function. Tests change one of them. A test fails if a function is missing here.
VALID: dict[str, list[dict[str, Any]]] = {
    "attention": [
        {"q": Q, "k": Q, "v": Q, "p": 0.5, "seed": 1, "out": Q, "lse": Q[..., 0], "mask": np.zeros((6, 1), np.uint8)},
        {"q": Q, "k": Q, "v": Q, "p": 0.5, "seed": 1, "causal": True, "bias": np.ones((3, 3), np.float32)},
    ],
    "attention_backward": [
        {"dout": Q, "q": Q, "k": Q, "v": Q, "p": 0.5, "seed": 1, "out": Q, "lse": Q[..., 0], "dq": Q, "causal": True},
        {"dout": Q, "q": Q, "k": Q, "v": Q, "p": 0.5, "mask": np.zeros((6, 1), np.uint8), "out": Q, "lse": Q[..., 0]},
    ],
    "backward": [{"dy": X, "p": 0.5, "seed": 1, "out": X}, {"dy": X, "p": 0.5, "mask": np.zeros(8, np.uint8)}],
    "backward_act": [
        {"dy": X, "act": "gelu", "p": 0.5, "x": X, "bias": X[0], "seed": 1, "out": X},
        {"dy": X, "act": "silu", "p": 0.5, "x": X, "mask": np.zeros(8, np.uint8)},
    ],
    "backward_add": [{"dy": X, "p": 0.5, "residual": X, "seed": 1, "out": X}],
    "backward_alpha": [{"dy": X, "p": 0.5, "seed": 1, "out": X}],
    "backward_softmax": [{"dy": X, "p": 0.5, "prob": X, "seed": 1, "out": X}],
    "forward": [{"x": X, "p": 0.5, "seed": 1, "out": X, "mask": np.zeros(8, np.uint8)}],
    "forward_act": [{"x": X, "act": "relu", "p": 0.5, "bias": X[0], "seed": 1, "out": X}],
    "forward_add": [{"x": X, "p": 0.5, "bias": X[0], "residual": X, "seed": 1, "out": X}],
    "forward_alpha": [{"x": X, "p": 0.5, "seed": 1, "out": X}],
    "forward_softmax": [
        {"x": X, "p": 0.5, "seed": 1, "out": X, "prob": X, "lse": X[:, 0], "bias": X[0]},
        {"x": X, "p": 0.5, "seed": 1, "bias": X[:2], "bias_block": 2, "bias_repeat": 2},
    ],
    "gaussian": [{"x": X, "p": 0.5, "seed": 1, "out": X}],
    "infer": [{"x": X, "p": 0.5, "out": X}],
    "isa_default": [{}],
    "isa_supported": [{"name": "scalar"}],
    "mask": [{"shape": (4, 16), "p": 0.5, "seed": 1, "out": np.zeros((4, 2), np.uint8)}],
    "mask_bytes": [{"n": 8}],
    "mask_count": [{"mask": BITS, "shape": 32}],
    "mask_dropblock": [{"shape": (2, 4, 4), "p": 0.5, "block": 2, "seed": 1, "out": np.zeros((8, 1), np.uint8)}],
    "mask_pack": [{"keep": np.zeros((4, 8), np.bool_), "out": BITS[:, None]}],
    "mask_unpack": [{"mask": BITS, "shape": 32, "out": np.zeros(32, np.bool_)}],
    "math": [{}],
    "recompute": [{"x": X, "p": 0.5, "seed": 1, "out": X}],
    "version": [{}],
}


def fresh(arguments: dict[str, Any]) -> dict[str, Any]:
    """The same arguments with copies of the arrays, so that no buffer is both written and read."""
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in arguments.items()}


def arguments_of(name: str) -> set[str]:
    """The names of a function's arguments. Its error message lists those of its options."""
    function = getattr(bitdrop, name)
    names = {p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD}
    if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values()):
        error = outcome(lambda: function(**fresh(VALID[name][0]), no_such_argument=1))
        assert isinstance(error, bitdrop.BitdropTypeError)
        names |= set(str(error).partition("; it has ")[2].split(", "))
    return names


def hostile(name: str) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Yields valid arguments, the name of one of them, and a wrong value for it."""
    for argument in sorted(arguments_of(name)):
        valid = next((v for v in VALID[name] if argument in v), VALID[name][0])
        if argument == "bias_repeat":
            valid = VALID[name][1]
        if argument == "mask" and "seed" in valid and name.startswith(("backward", "attention_backward")):
            continue  # the call passes only one of the two
        for value in HOSTILE[KIND[argument]]:
            yield valid, argument, value


def test_every_function_is_here() -> None:
    functions = {name for name in bitdrop.__all__ if inspect.isroutine(getattr(bitdrop, name))}
    assert functions == VALID.keys()
    unknown = {argument for name in functions for argument in arguments_of(name)} - KIND.keys()
    assert not unknown


@pytest.mark.parametrize("name", VALID)
def test_valid_arguments(name: str) -> None:
    """The valid arguments work. So the tests below show that only the changed argument is refused."""
    for valid in VALID[name]:
        getattr(bitdrop, name)(**fresh(valid))


@pytest.mark.parametrize("name", VALID)
def test_arguments(name: str) -> None:
    function = getattr(bitdrop, name)
    for valid, argument, value in hostile(name):
        given = fresh(valid)
        before = fresh(given)
        error = outcome(lambda given=given, argument=argument, value=value: function(**{**given, argument: value}))
        where = f"{name}({argument}={type(value).__name__}): {type(error).__name__}"
        assert isinstance(error, bitdrop.BitdropError), where
        assert isinstance(error, (ValueError, TypeError)), where
        assert {"name": "isa"}.get(argument, argument) in str(error), f"{where}: {error}"
        for key, array in before.items():
            if isinstance(array, np.ndarray):
                np.testing.assert_array_equal(given[key], array, err_msg=where)


@pytest.mark.parametrize(
    "p",
    [Decimal("NaN"), Decimal("sNaN"), 10**400, DIGITS, Lies(0.5), Fraction(10**30 + 1, 10**30)],
    ids=["NaN", "sNaN", "huge", "too long to print", "lies", "rounds to 1"],
)
def test_numbers_out_of_range(p: Any) -> None:
    """Numbers out of range are no TypeError, because they are numbers. The package refuses them, not the library."""
    with pytest.raises(bitdrop.BitdropValueError, match=r"p must lie in \[0, 1\], not be"):
        bitdrop.infer(X, p)


def test_memory() -> None:
    """Results that are too large for the memory, or for NumPy."""
    for shape in (2**62, (2**30, 2**31)):
        with pytest.raises(bitdrop.BitdropMemoryError):
            bitdrop.mask(shape, 0.5, seed=1)
    with pytest.raises(bitdrop.BitdropValueError, match="dimension"):
        bitdrop.mask_unpack(np.zeros(0, np.uint8), (0,) * 65)
    assert bitdrop.mask((2**61, 0), 0.5, seed=1).shape == (2**61, 0)


@pytest.mark.parametrize("step", [1, 3])
def test_rows_that_overlap_others(step: int) -> None:
    """An output whose rows overlap other rows of the input. The library sees one row in each call."""
    memory = np.zeros(16 * 24, np.uint8)
    keep = memory.view(np.bool_).reshape(16, 24)[:, :9]
    bits = memory[24 * step :][: 16 * 2].reshape(16, 2)
    apart = memory.reshape(16, 24)[:, 9:11]  # in the gaps between the rows of keep
    with pytest.raises(bitdrop.BitdropValueError, match="out overlaps keep"):
        bitdrop.mask_pack(keep, out=bits)
    with pytest.raises(bitdrop.BitdropValueError, match="out overlaps mask"):
        bitdrop.mask_unpack(bits, (16, 9), out=keep)
    assert not memory.any()
    bitdrop.mask_unpack(np.full((16, 2), 0xFF, np.uint8), (16, 9), out=keep)
    bitdrop.mask_pack(keep, out=apart)
    np.testing.assert_array_equal(apart, [[0xFF, 1]] * 16)
    assert memory.sum() == 16 * (9 + 0xFF + 1)


def test_bias_rows() -> None:
    for rows in ({"bias_repeat": 2}, {"bias_block": 0}, {"bias_block": 2, "bias_repeat": 0}):
        with pytest.raises((bitdrop.BitdropTypeError, bitdrop.BitdropValueError), match="bias_block"):
            bitdrop.forward_softmax(X, 0.5, bias=X[:2], seed=1, **rows)
