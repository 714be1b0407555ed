# SPDX-License-Identifier: Apache-2.0
"""Impossible DLPack tensors, and producers that raise: an error names the argument, and nothing is written.

A test that crashes ends pytest too. Then faulthandler prints which test it was.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock, Mock

import numpy as np
import pytest
from producer import Destructor, Tensor, new_capsule
from test_hostile import X, outcome

import bitdrop

HUGE = 2**62
# The fields of a tensor of shape (4, 16) that each lie changes.
LIES: dict[str, dict[str, Any]] = {
    "NULL shape": {"shape": None},
    "NULL data": {"data": None},
    "NULL data, no offset": {"data": None, "byte_offset": 0},
    "negative number of dimensions": {"ndim": -1},
    "lowest number of dimensions": {"ndim": -(2**31)},
    "highest number of dimensions": {"ndim": 2**31 - 1},
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
UNALIGNED = ("unaligned",)  # no lie in an array of bytes
WRITTEN = {"read-only": {"flags": 1}, "a copy": {"flags": 2}}

# The calls that use a tensor of shape (4, 16). For attention its shape is [1, 1, 4, 16].
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


def tensor(role: str, **changes: Any) -> tuple[Any, Any]:
    """Memory, and a tensor in the middle of it with wrong fields. Without changes it is valid."""
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
def test_dlpack_without_a_lie(role: str) -> None:
    """Without a lie each call works. So the tests below show that the lie alone is refused."""
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
    """Each call accepts its own types alone. A bool of two bytes is refused."""
    if (code, bits) == (4, 16):
        pytest.importorskip("ml_dtypes")  # the result is an array of its bfloat16
    accepted = {"x": [(2, 16), (2, 64), (4, 16)], "mask to count": [(1, 8)], "keep": [(1, 8), (6, 8)]}
    for role, types in accepted.items():
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
    with pytest.raises(bitdrop.BitdropValueError, match=r"x\.__dlpack__\(\) returned an impossible tensor"):
        bitdrop.infer(Tensor(np.zeros(1, np.float32), data=None, dims=(), steps=()), 0.5)


def test_dlpack_huge() -> None:
    """A shape that is possible, but there is not enough memory for the result. Nothing is read."""
    with pytest.raises(bitdrop.BitdropMemoryError, match="Unable to allocate") as caught:
        bitdrop.infer(Tensor(X, dims=(2**56,), steps=(1,)), 0.5)
    assert isinstance(caught.value, MemoryError)


class Producer:
    """Exports the given capsule, or raises it if it is an exception."""

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
def test_not_an_array(x: Any) -> None:
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
    """The package looks up the module of a tensor's class, because some frameworks do not mark read-only data."""
    strange = type("Strange", (Tensor,), {"__module__": None})
    out = strange(np.zeros_like(X))
    assert bitdrop.infer(X, 0.5, out=out) is out
    np.testing.assert_array_equal(out.array, X)


def test_subclass_lies() -> None:
    """A subclass of ndarray that overrides its attributes: the memory is what NumPy itself reports."""

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
    """A call exports an output once, so it uses the same tensor that it has checked."""

    class Changes(Tensor):
        def __dlpack__(self, **options: Any) -> Any:
            self.dims = (8,) if self.exports == 0 else (8 << 30,)
            return super().__dlpack__(**options)

    for call in [lambda t: bitdrop.mask(64, 0.5, seed=1, out=t), lambda t: bitdrop.mask_pack(np.ones(64, "?"), out=t)]:
        t = Changes(np.zeros(8, np.uint8))
        call(t)
        assert t.exports == 1


def test_capsules_are_given_back() -> None:
    """The destructor of a capsule runs once, also if the capsule was refused, and its deleter is not called."""
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
