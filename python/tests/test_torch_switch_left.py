# SPDX-License-Identifier: Apache-2.0
"""Calls that enable() leaves to PyTorch, and other kinds of tensors."""

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from seeded import Operators, same, seeded
from torch import Tensor
from torch._subclasses import FakeTensorMode

import bitdrop.torch as bt

ONES = torch.ones(100)


class Wrapper(Tensor):
    """A subclass that sees every operator below autograd."""

    seen: list[str] = []  # noqa: RUF012

    inner: Tensor

    @staticmethod
    def __new__(cls: type, inner: Tensor) -> "Wrapper":  # noqa: D102
        self = Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype, device=inner.device)
        self.inner = inner
        return self

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.seen.append(str(func))
        unwrapped = torch.utils._pytree.tree_map_only(cls, lambda t: t.inner, (args, kwargs or {}))
        out = func(*unwrapped[0], **unwrapped[1])
        return args[0] if func._schema.is_mutable else cls(out) if isinstance(out, Tensor) else out


def nested(layout: torch.layout) -> Tensor:
    return torch.nested.nested_tensor([ONES[:, None], torch.ones(3, 1)], layout=layout)


LEFT: dict[str, Callable[[], Any]] = {
    "meta": lambda: F.dropout(torch.ones(4, device="meta")).shape,
    "nested in evaluation": lambda: F.dropout(nested(torch.strided), training=False).unbind()[0],
    "nested integers": lambda: F.dropout(nested(torch.strided).long()).unbind()[0],
    "jagged of complex": lambda: F.dropout(nested(torch.jagged).to(torch.complex64)).values(),
    "jagged, compiled": lambda: torch.compile(F.dropout, backend="aot_eager")(nested(torch.jagged)).values(),
    "alpha of nested": lambda: F.alpha_dropout(nested(torch.strided), 0.5, True).unbind()[0],
    "sparse": lambda: F.dropout(torch.ones(50).to_sparse()).to_dense(),
    "integers": lambda: F.dropout(torch.arange(4)),
    "complex": lambda: F.dropout(torch.ones(4, dtype=torch.complex64)),
    "float8": lambda: F.dropout(torch.ones(4).to(torch.float8_e4m3fn)),
    "vmap": lambda: torch.func.vmap(F.dropout, randomness="different")(torch.ones(3, 50)),
    "vmap of a closure": lambda: torch.func.vmap(lambda b: F.dropout(ONES) + b, randomness="different")(torch.zeros(3)),
    "vmap refuses": lambda: torch.func.vmap(F.dropout)(torch.ones(3, 50)),
    "func.grad": lambda: torch.func.grad(lambda x: F.dropout(x).sum())(ONES),
    "jvp": lambda: torch.func.jvp(F.dropout, (ONES,), (ONES,))[1],
    "functionalize": lambda: torch.func.functionalize(lambda x: F.dropout(x * 1, inplace=True))(ONES),
    "subclass": lambda: F.dropout(Wrapper(ONES)).inner,
    "overlapping": lambda: F.dropout(torch.ones(1).expand(4), inplace=True),
    "a leaf": lambda: F.dropout(torch.ones(4, requires_grad=True), inplace=True),
    "feature of a vector": lambda: torch.feature_dropout(torch.ones(4), 0.5, True),
    "attention of a wrong shape": lambda: F.scaled_dot_product_attention(*[torch.ones(4)] * 3, dropout_p=0.5),
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("case", LEFT)
def test_left_to_pytorch(case: str) -> None:
    def outcome() -> Any:
        Wrapper.seen.clear()
        try:
            return seeded(LEFT[case]), Wrapper.seen.copy()
        except Exception as error:
            return type(error), str(error).splitlines()[0]

    stock = outcome()
    bt.enable()
    try:
        now = outcome()
    finally:
        bt.disable()
    assert str(now) == str(stock)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.usefixtures("enabled")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested(layout: torch.layout) -> None:
    x = nested(layout).requires_grad_()
    want = seeded(bt.dropout, torch.ones(103, 1))
    y = seeded(F.dropout, x)
    same(y.values().detach().reshape(103, 1), want)
    y.values().sum().backward()
    same(x.grad.values().reshape(103, 1), want)
    with torch.no_grad():
        same(seeded(F.dropout, x).values().reshape(103, 1), want)
        base = nested(layout)
        assert seeded(F.dropout, base, inplace=True) is base
        same(base.values().reshape(103, 1), want)


@pytest.mark.usefixtures("enabled")
def test_forward_mode() -> None:
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(ONES, 3 * ONES)
        for inplace in (False, True):
            y, tangent = torch.autograd.forward_ad.unpack_dual(F.dropout(dual * 1, inplace=inplace))
            same(tangent, 3 * y)


@pytest.mark.usefixtures("enabled")
def test_a_subclass_without_dispatch_is_taken(dropped: list[int]) -> None:
    class Named(Tensor):
        pass

    y = F.dropout(torch.ones(4, requires_grad=True).as_subclass(Named))
    assert type(y) is Named
    assert dropped == [4]


@pytest.mark.usefixtures("enabled")
def test_mode_sees_bitdrop() -> None:
    class Seen(torch.utils._python_dispatch.TorchDispatchMode):
        names: list[str] = []  # noqa: RUF012

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.names.append(str(func))
            return func(*args, **(kwargs or {}))

    with Seen():
        y = seeded(F.dropout, ONES)
    assert "bitdrop.dropout.default" in Seen.names
    same(y, seeded(bt.dropout, ONES))


@pytest.mark.usefixtures("enabled")
def test_traced_in_place_refuses_shared_memory() -> None:
    """In a traced call, bitdrop raises the error. In eager mode PyTorch raises it."""

    def overlapping(x: Tensor) -> Tensor:
        return F.dropout((x * 1).as_strided((3, 4), (2, 1)), inplace=True)

    for context in (Operators(), FakeTensorMode()):
        with context, pytest.raises(RuntimeError, match=r"bitdrop: in place, .*\.clone\(\)"):
            overlapping(torch.ones(8))
    torch.compiler.reset()
    with pytest.raises(RuntimeError, match=r"bitdrop: in place, .*\.clone\(\)"):
        torch.compile(overlapping, backend="aot_eager", fullgraph=True)(torch.ones(8))
    apart = torch.compile(lambda x: F.dropout((x * 1)[:, ::2], inplace=True), backend="aot_eager", fullgraph=True)
    for n in (4, 6, 9):
        same(seeded(apart, torch.ones(n, 6)), seeded(F.dropout, torch.ones(n, 3)))
