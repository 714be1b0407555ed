# SPDX-License-Identifier: Apache-2.0
"""Arguments that lie, raise or make no sense: an error of the package names the argument, and nothing is written.

Where a test would crash, it takes pytest with it. Then faulthandler prints which one it was.
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any
from unittest.mock import MagicMock, Mock

import numpy as np
import pytest
from producer import Destructor, Tensor, new_capsule

import bitdrop

# ---- DLPack tensors that cannot be.

HUGE = 2**62
# What a producer tells of a tensor of shape (4, 16) that lies in memory as it should.
LIES: dict[str, dict[str, Any]] = {
    "NULL shape": {"shape": None},
    "NULL data": {"data": None},
    "NULL data, no offset": {"data": None, "byte_offset": 0},
    "no dimension but one": {"ndim": -1},
    "most negative dimensions": {"ndim": -(2**31)},
    "dimensions without end": {"ndim": 2**31 - 1},
    "65 dimensions": {"dims": (1,) * 63 + (4, 16), "steps": (16,) * 64 + (1,)},
    "negative length": {"dims": (-4, 16)},
    "negative lengths whose product is right": {"dims": (-4, -16)},
    "shape that wraps to 0": {"dims": (2**32, 2**32)},
    "shape that wraps to 64": {"dims": (2**58 + 1, 64), "steps": (64, 1)},
    "no elements, and a shape that wraps": {"dims": (0, HUGE, HUGE), "steps": (0, 0, 0)},
    "more bytes than addresses": {"dims": (2**31, 2**32), "steps": (2**32, 1)},
    "huge stride": {"steps": (2**63 - 1, 1)},
    "huge negative stride": {"steps": (-(2**63), 1)},
    "strides that overlap": {"steps": (8, 1)},
    "stride 0": {"steps": (0, 1)},
    "negative stride": {"steps": (-16, 1)},
    "gaps in rows": {"steps": (32, 2)},
    "data past the last address": {"byte_offset": 2**64 - 64},
    "data before the first address": {"data": 2**64 - 64},
    "unaligned": {"byte_offset": 65},
    "another device": {"device": 2},
    "a device that the tensor denies": {"device": 2, "told_device": 1},
    "a device without a name": {"device": -5},
    "vectors as elements": {"lanes": 4},
    "no lanes": {"lanes": 0},
    "no bits": {"bits": 0},
    "4 bits": {"bits": 4},
    "128 bits": {"bits": 128},
    "unknown type": {"code": 200},
    "complex": {"code": 5, "bits": 64},
    "version 2": {"major": 2},
    "version 0": {"major": 0},
    "consumed": {"name": b"used_dltensor_versioned"},
    "consumed, unversioned": {"name": b"used_dltensor"},
    "another capsule": {"name": b"tensor"},
}
UNALIGNED = ("unaligned",)  # bytes always are
REPEATED = ("stride 0",)  # attention takes a stride of 0, but not between rows
WRITTEN = {"read-only": {"flags": 1}, "a copy": {"flags": 2}}

# How a tensor of shape (4, 16) is used. Attention takes it as [1, 1, 4, 16].
X = np.ones((4, 16), np.float32)
ROLES: dict[str, tuple[np.dtype[Any], Callable[[Any], Any]]] = {
    "x": (np.dtype("f4"), lambda t: bitdrop.infer(t, 0.5)),
    "out": (np.dtype("f4"), lambda t: bitdrop.infer(X, 0.5, out=t)),
    "residual": (np.dtype("f4"), lambda t: bitdrop.forward_add(X, 0.5, residual=t, seed=1)),
    "mask": (np.dtype("u1"), lambda t: bitdrop.backward(np.ones((4, 128), np.float32), 0.5, t)),
    "mask of forward": (np.dtype("u1"), lambda t: bitdrop.forward(np.ones((4, 128), "f4"), 0.5, seed=1, mask=t)),
    "mask to count": (np.dtype("u1"), lambda t: bitdrop.mask_count(t)),
    "keep": (np.dtype("?"), lambda t: bitdrop.mask_pack(t)),
    "q": (np.dtype("f4"), lambda t: bitdrop.attention(t, X[None, None], X[None, None], 0)),
}


def outcome(call: Callable[[], Any]) -> BaseException | None:
    try:
        call()
    except Exception as error:
        return error
    return None


def tensor(role: str, **changes: Any) -> tuple[Any, Any]:
    """The memory, and a tensor in its middle that lies about it. The sizes of dims and steps are those of (4, 16)."""
    dtype, _ = ROLES[role]
    memory = np.ones(4096, np.uint8).view(dtype)
    array = memory[memory.size // 4 :][:64].reshape(4, 16)
    if role == "q":
        array = array[None, None]
        for name in ("dims", "steps"):
            if name in changes and len(changes[name]) == 2:
                changes[name] = (1, 1, *changes[name])
    return memory, Tensor(array, **changes)


@pytest.mark.parametrize("role", ROLES)
def test_dlpack_is_honest_here(role: str) -> None:
    """What is refused below is refused for the lie."""
    for versioned in (True, False):
        _, t = tensor(role, versioned=versioned)
        assert outcome(lambda t=t: ROLES[role][1](t)) is None
        assert t.exports >= 1


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("lie", [*LIES, *WRITTEN])
def test_dlpack_lies(lie: str, role: str) -> None:
    if (lie in UNALIGNED and ROLES[role][0].itemsize == 1) or (
        lie in WRITTEN and role not in ("out", "mask of forward")
    ):
        return
    changes = {**LIES, **WRITTEN}[lie]
    for versioned in (True, False):
        if not versioned and changes.keys() & {"major", "flags"}:
            continue
        memory, t = tensor(role, versioned=versioned, **changes)
        before = memory.copy()
        error = outcome(lambda t=t: ROLES[role][1](t))
        assert isinstance(error, bitdrop.BitdropError), f"versioned={versioned}: {error!r}"
        assert role.partition(" ")[0] in str(error)
        np.testing.assert_array_equal(memory, before)
        assert (X == 1).all()


@pytest.mark.parametrize("bits", [8, 16, 64])
@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6, 7])
def test_dlpack_types(code: int, bits: int) -> None:
    """One type of each is what the library takes, and a bool of two bytes is no bool."""
    taken = {"x": [(2, 16), (2, 64), (4, 16)], "mask to count": [(1, 8)], "keep": [(1, 8), (6, 8)]}
    for role, types in taken.items():
        _, t = tensor(role, code=code, bits=bits)
        error = outcome(lambda t=t, role=role: ROLES[role][1](t))
        if (code, bits) in types:
            assert error is None
        else:
            assert isinstance(error, bitdrop.BitdropTypeError), f"{role}: {error!r}"


def test_dlpack_no_elements_and_no_data() -> None:
    for dims in [(0,), (3, 0), (0, 3), (2, 0, HUGE // 8)]:
        empty = Tensor(np.zeros(1, np.float32), data=None, dims=dims, null_strides=True)
        assert bitdrop.mask_count(bitdrop.forward(empty, 0.5, seed=1)[1]) == 0
    with pytest.raises(bitdrop.BitdropValueError, match=r"x\.__dlpack__\(\) returned a tensor that cannot be"):
        bitdrop.infer(Tensor(np.zeros(1, np.float32), data=None, dims=(), steps=()), 0.5)


def test_dlpack_huge() -> None:
    """A shape that could be: there is no memory for the result, and nothing is read."""
    with pytest.raises(bitdrop.BitdropMemoryError, match="Unable to allocate") as caught:
        bitdrop.infer(Tensor(X, dims=(2**56,), steps=(1,)), 0.5)
    assert isinstance(caught.value, MemoryError)


class Producer:
    """Exports what it is told to, or raises it."""

    def __init__(self, capsule: Any, device: Any = (1, 0)) -> None:
        self.capsule, self.device = capsule, device

    def __dlpack_device__(self) -> Any:
        return self.device

    def __dlpack__(self, **_: Any) -> Any:
        if isinstance(self.capsule, Exception):
            raise self.capsule
        return self.capsule


class UnprintableError(RuntimeError):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


NAMELESS = new_capsule(ctypes.addressof(ctypes.create_string_buffer(64)), None, None)


@pytest.mark.parametrize(
    "x",
    [
        Producer(None),
        Producer(1),
        Producer(X),
        Producer(NAMELESS),
        Producer(RuntimeError("no")),
        Producer(UnprintableError()),
        Producer(TypeError("always")),
        Producer(X, device=None),
        Producer(X, device=()),
        Producer(X, device="cpu"),
        Producer(X, device=(10**30, 0)),
        Tensor,
        np.ndarray,
        type("Property", (), {"__dlpack__": property(lambda self: 1 / 0), "__dlpack_device__": None})(),
        Mock(spec=np.ndarray),
        MagicMock(),
        np.ma.masked_array(X, X > 0),
        np.float32(1),
        X.tolist(),
        memoryview(X),
        X.ctypes,
        None,
    ],
    ids=lambda x: type(x).__name__,
)
def test_no_array(x: Any) -> None:
    for name, call in [
        ("x", lambda: bitdrop.forward(x, 0.5, seed=1)),
        ("out", lambda: bitdrop.infer(X, 0.5, out=x)),
        ("mask", lambda: bitdrop.mask_count(x)),
        ("q", lambda: bitdrop.attention(x, X, X, 0)),
        ("keep", lambda: bitdrop.mask_pack(x)),
    ]:
        error = outcome(call)
        if x is None and name == "out":
            assert error is None
        else:
            assert isinstance(error, bitdrop.BitdropError), f"{name}: {error!r}"
            assert str(error).startswith(name)


def test_module_without_a_name() -> None:
    """Who made a tensor is looked up, for some frameworks do not say that theirs must not be written."""
    strange = type("Strange", (Tensor,), {"__module__": None})
    out = strange(np.zeros_like(X))
    assert bitdrop.infer(X, 0.5, out=out) is out
    np.testing.assert_array_equal(out.array, X)


def test_subclass_lies() -> None:
    """The memory of an array is that of NumPy, whatever a class says."""

    class Liar(np.ndarray):  # type: ignore[type-arg]
        shape = property(lambda self: (1 << 20,))  # type: ignore[assignment]
        flags = property(lambda self: None)  # type: ignore[assignment]
        ctypes = property(lambda self: None)  # type: ignore[assignment]
        view = None  # type: ignore[assignment]

    x = np.arange(64, dtype=np.float32).view(Liar)
    y = bitdrop.infer(x, 0.5)
    assert type(y) is np.ndarray
    np.testing.assert_array_equal(y, np.arange(64))
    read_only = np.zeros(64, np.float32)
    read_only.flags.writeable = False
    with pytest.raises(bitdrop.BitdropValueError, match="out cannot be written"):
        bitdrop.infer(x, 0.5, out=np.ndarray.view(read_only, Liar))


def test_second_export() -> None:
    """What is checked is what is used, and one call takes one look at an output."""

    class Changes(Tensor):
        def __dlpack__(self, **options: Any) -> Any:
            self.dims = (8,) if self.exports == 0 else (8 << 30,)
            return super().__dlpack__(**options)

    for call in [lambda t: bitdrop.mask(64, 0.5, seed=1, out=t), lambda t: bitdrop.mask_pack(np.ones(64, "?"), out=t)]:
        t = Changes(np.zeros(8, np.uint8))
        call(t)
        assert t.exports == 1


def test_capsules_are_given_back() -> None:
    """A refused capsule goes the way of one that was taken: its destructor runs once, and its deleter is not called."""
    destroyed: list[int] = []
    deleted: list[int] = []
    destructor, deleter = Destructor(destroyed.append), Destructor(deleted.append)

    class Counted(Tensor):
        def __dlpack__(self, **options: Any) -> Any:
            super().__dlpack__(**options)
            self.managed.deleter = ctypes.cast(deleter, ctypes.c_void_p)
            address, destroy = ctypes.addressof(self.managed), ctypes.cast(destructor, ctypes.c_void_p)
            return new_capsule(address, self.kind, destroy)

    def used(**lie: Any) -> tuple[int, int]:
        destroyed.clear()
        deleted.clear()
        t = Counted(X.copy(), **lie)
        assert (outcome(lambda: bitdrop.infer(t, 0.5)) is None) == (not lie)
        return len(destroyed), len(deleted)

    assert used() == (1, 0)
    assert used(shape=None) == (1, 0)
    assert used(major=2) == (1, 0)
    assert used(name=b"used_dltensor") == (1, 0)


# ---- Every argument of every function.


class Raises:
    """Whose every method raises."""

    def _fail(self, *_: Any) -> Any:
        raise RuntimeError("no")

    __index__ = __int__ = __float__ = __bool__ = __len__ = __iter__ = __add__ = __radd__ = __getitem__ = _fail
    __le__ = __lt__ = __ge__ = __gt__ = __eq__ = __ne__ = __repr__ = __str__ = _fail
    __hash__ = None  # type: ignore[assignment]


class Index:
    """Whose index is no integer."""

    def __index__(self) -> Any:
        return "one"


class Lies(float):
    """0.5 that says to be 7 once it is taken."""

    def __float__(self) -> float:
        return 7.0


ANY: list[Any] = [Raises(), object(), [1], (1, 2), {}, "1", b"1", 1j, np.array([1, 2]), np.array("0.5"), X]
DIGITS = 10**5000  # more than Python prints
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
# Valid arguments for each function: tests change one of them. A function that is missing here fails a test.
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
    """The same with copies of the arrays, as no buffer is written and read."""
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in arguments.items()}


def arguments_of(name: str) -> set[str]:
    """What a function takes: of its options it says the names itself."""
    function = getattr(bitdrop, name)
    names = {p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD}
    if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values()):
        error = outcome(lambda: function(**fresh(VALID[name][0]), no_such_argument=1))
        assert isinstance(error, bitdrop.BitdropTypeError)
        names |= set(str(error).partition("; it has ")[2].split(", "))
    return names


def hostile(name: str) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Valid arguments, and a value for one of them that no function takes."""
    for argument in sorted(arguments_of(name)):
        valid = next((v for v in VALID[name] if argument in v), VALID[name][0])
        if argument == "bias_repeat":
            valid = VALID[name][1]
        if argument == "mask" and "seed" in valid and name.startswith(("backward", "attention_backward")):
            continue  # either of them is passed
        for value in HOSTILE[KIND[argument]]:
            yield valid, argument, value


def test_every_function_is_here() -> None:
    functions = {name for name in bitdrop.__all__ if inspect.isroutine(getattr(bitdrop, name))}
    assert functions == VALID.keys()
    unknown = {argument for name in functions for argument in arguments_of(name)} - KIND.keys()
    assert not unknown


@pytest.mark.parametrize("name", VALID)
def test_valid_arguments(name: str) -> None:
    """What is refused below is refused for the one argument that a test changes."""
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
    """They are numbers, so this is no TypeError; and the package says so, not the library."""
    with pytest.raises(bitdrop.BitdropValueError, match=r"p must lie in \[0, 1\], not be"):
        bitdrop.infer(X, p)


def test_memory() -> None:
    """Results for which there is no memory, or no number of bytes."""
    for shape in (2**62, (2**30, 2**31)):
        with pytest.raises(bitdrop.BitdropMemoryError):
            bitdrop.mask(shape, 0.5, seed=1)
    with pytest.raises(bitdrop.BitdropValueError, match="dimension"):
        bitdrop.mask_unpack(np.zeros(0, np.uint8), (0,) * 65)
    assert bitdrop.mask((2**61, 0), 0.5, seed=1).shape == (2**61, 0)


@pytest.mark.parametrize("step", [1, 3])
def test_rows_that_overlap_others(step: int) -> None:
    """The rows of an output lie in other rows of the input. The library is called for each row by itself."""
    memory = np.zeros(16 * 24, np.uint8)
    keep = memory.view(np.bool_).reshape(16, 24)[:, :9]
    bits = memory[24 * step :][: 16 * 2].reshape(16, 2)
    apart = memory.reshape(16, 24)[:, 9:11]  # in the gaps
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
