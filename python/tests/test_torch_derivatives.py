# SPDX-License-Identifier: Apache-2.0
"""Forward mode, second derivatives and functionalize for all functions and operators of bitdrop.torch."""

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from seeded import OPS, same, seeded
from torch import Tensor
from torch.autograd import forward_ad

import bitdrop.torch as bt
from bitdrop.torch import _operators

F64 = torch.float64
SEED = torch.tensor(5)
RESIDUAL, BIAS = torch.randn(4, 6, dtype=F64), torch.randn(6, dtype=F64)

Unary = Callable[[Tensor], Tensor]

ALL: dict[str, Unary] = {  # functions of x [4, 6]
    "dropout": lambda x: bt.dropout(x, 0.4),
    "dropout, recompute": lambda x: bt.dropout(x, 0.4, recompute=True),
    "feature_dropout": lambda x: bt.feature_dropout(x, 0.4),
    "alpha_dropout": lambda x: bt.alpha_dropout(x, 0.4, True),
    "feature_alpha_dropout": lambda x: bt.feature_alpha_dropout(x, 0.4, True),
    "dropout_add": lambda x: bt.dropout_add(x, RESIDUAL, 0.4, bias=BIAS),
    "relu": lambda x: bt.activation_dropout(x, 0.4, "relu", bias=BIAS),
    "gelu": lambda x: bt.activation_dropout(x, 0.4, "gelu", bias=BIAS),
    "gelu_tanh": lambda x: bt.activation_dropout(x, 0.4, "gelu_tanh", bias=BIAS),
    "silu": lambda x: bt.activation_dropout(x, 0.4, "silu", bias=BIAS),
}
EVERY = pytest.mark.parametrize("f", ALL.values(), ids=ALL)


def with_seed(f: Unary) -> Unary:
    return lambda x: seeded(f, x)


def tangent(f: Unary, x: Tensor, t: Tensor) -> Tensor:
    """The tangent by reverse mode applied twice, which needs no formula for tangents."""
    x = x.detach().requires_grad_()
    y = seeded(f, x)
    v = torch.zeros_like(y, requires_grad=True)
    (g,) = torch.autograd.grad(y, x, v, create_graph=True)
    return torch.autograd.grad(g, v, t)[0]


# ---- Forward mode.


@EVERY
def test_jvp_and_duals(f: Unary) -> None:
    x, t = torch.randn(4, 6, dtype=F64), torch.randn(4, 6, dtype=F64)
    want, want_tangent = seeded(f, x), tangent(f, x, t)
    for primal, found in (torch.func.jvp(with_seed(f), (x,), (t,)), _by_duals(f, x, t)):
        same(primal, want)
        torch.testing.assert_close(found, want_tangent, rtol=1e-10, atol=1e-12)


def _by_duals(f: Unary, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    with forward_ad.dual_level():
        y = forward_ad.unpack_dual(seeded(f, forward_ad.make_dual(x, t)))
        assert y.tangent is not None
        return y.primal, y.tangent


@EVERY
def test_jacobian_and_hessian(f: Unary) -> None:
    x = torch.randn(4, 6, dtype=F64)
    forward, reverse = torch.func.jacfwd(with_seed(f), randomness="same")(x), torch.func.jacrev(with_seed(f))(x)
    torch.testing.assert_close(forward, reverse, rtol=1e-10, atol=1e-12)

    def loss(x: Tensor) -> Tensor:
        return (seeded(f, x) ** 3).sum()

    ways = [
        torch.func.jacrev(torch.func.jacrev(loss))(x),
        torch.func.jacfwd(torch.func.jacrev(loss), randomness="same")(x),
        torch.func.jacrev(torch.func.jacfwd(loss, randomness="same"))(x),
        torch.autograd.functional.hessian(loss, x),
    ]
    assert ways[0].abs().max() > 0
    for way in ways[1:]:
        torch.testing.assert_close(way, ways[0], rtol=1e-9, atol=1e-10)


@EVERY
def test_vmap_of_jvp(f: Unary) -> None:
    x, t = torch.randn(3, 4, 6, dtype=F64), torch.randn(3, 4, 6, dtype=F64)

    def one(x: Tensor, t: Tensor) -> Any:
        return torch.func.jvp(with_seed(f), (x,), (t,))

    for found in (
        torch.func.vmap(one, randomness="same")(x, t),
        torch.func.jvp(torch.func.vmap(with_seed(f), randomness="same"), (x,), (t,)),
    ):
        for i in range(3):
            for a, b in zip(found, one(x[i], t[i]), strict=True):
                same(a[i], b)


def test_a_tangent_has_the_mask_of_its_primal() -> None:
    """The primal and its tangent come from one call, so the seed is not set again between them."""
    x = torch.randn(40, 6)
    for name in ("dropout", "dropout, recompute", "feature_dropout"):
        y, t = torch.func.jvp(ALL[name], (x,), (x,))
        same(y, t)


def test_in_place_on_a_dual() -> None:
    x, t = torch.randn(4, 6), torch.randn(4, 6)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.clone(), t.clone())
        assert seeded(bt.dropout, dual, 0.4, inplace=True) is dual
        y = forward_ad.unpack_dual(dual)
        same(y.primal, seeded(bt.dropout, x, 0.4))
        same(y.tangent, seeded(bt.dropout, t, 0.4))


def test_dual_as_dy_of_a_backward_pass() -> None:
    """The call was made before the forward-mode level. Its gradient has the tangent that dy has."""
    for n in (24, 4096):  # the first call keeps a seed, the second a mask
        x = torch.randn(n, requires_grad=True)
        y = seeded(bt.dropout, x, 0.4)
        dy, t = torch.randn(n), torch.randn(n)
        with forward_ad.dual_level():
            (dx,) = torch.autograd.grad(y, x, forward_ad.make_dual(dy, t))
            found = forward_ad.unpack_dual(dx).tangent
            assert found is not None
            same(found, seeded(bt.dropout, t, 0.4))


def test_empty_and_inference() -> None:
    empty = torch.ones(0, 3)
    assert [t.shape for t in torch.func.jvp(bt.dropout, (empty,), (empty,))] == [(0, 3), (0, 3)]
    x = torch.randn(3)
    y, t = torch.func.jvp(lambda x: bt.dropout(x, 0.4, False), (x,), (x,))
    same(y, t)


def test_compiled_jvp() -> None:
    x, t = torch.randn(4, 6), torch.randn(4, 6)

    def by_func(x: Tensor, t: Tensor) -> Any:
        return torch.func.jvp(lambda x: bt.dropout(x, 0.4) * 2, (x,), (t,))

    def by_duals(x: Tensor, t: Tensor) -> Any:
        with forward_ad.dual_level():
            return tuple(forward_ad.unpack_dual(bt.dropout(forward_ad.make_dual(x, t), 0.4) * 2))

    for f in (by_func, by_duals):
        torch._dynamo.reset()
        compiled = torch.compile(f, backend="aot_eager", fullgraph=f is by_func)
        for a, b in zip(seeded(compiled, x, t), seeded(by_func, x, t), strict=True):
            same(a, b)


# ---- Operators, called directly.


def leaf(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=F64, requires_grad=True)


def operators() -> dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]]:
    """Each operator as a function of its differentiable arguments, and values for these."""
    x, residual, bias = leaf(3, 5), leaf(3, 5), leaf(5)
    mask = OPS.dropout(x.detach(), SEED, 0.4)[1]
    rows = OPS.activation_dropout(x.detach(), bias.detach(), SEED, 0.4, "gelu")[1]
    found: dict[str, Any] = {
        "dropout": (lambda x: OPS.dropout(x, SEED, 0.4)[0], (x,)),
        "dropout_recompute": (lambda x: OPS.dropout_recompute(x, SEED, 0.4), (x,)),
        "dropout_backward": (lambda x: OPS.dropout_backward(x, mask, 0.4), (x,)),
        "dropout_backward, rows": (lambda x: OPS.dropout_backward(x, rows, 0.4), (x,)),
        "feature_dropout": (lambda x: OPS.feature_dropout(x, SEED, 0.4, 1), (x,)),
        "alpha_dropout": (lambda x: OPS.alpha_dropout(x, SEED, 0.4, 0), (x,)),
        "alpha_dropout_backward": (lambda x: OPS.alpha_dropout_backward(x, SEED, 0.4, 0), (x,)),
        "dropout_add": (lambda x, r, b: OPS.dropout_add(x, r, b, SEED, 0.4)[0], (x, residual, bias)),
        "dropout_add, no bias": (lambda x, r: OPS.dropout_add(x, r, None, SEED, 0.4)[0], (x, residual)),
        "dropout_add, bias": (lambda b: OPS.dropout_add(x.detach(), residual.detach(), b, SEED, 0.4)[0], (bias,)),
        "relu, no bias": (lambda x: OPS.activation_dropout(x, None, SEED, 0.4, "relu")[0], (x,)),
    }
    for name in ("relu", "gelu", "gelu_tanh", "silu"):
        found[name] = (lambda x, b, name=name: OPS.activation_dropout(x, b, SEED, 0.4, name)[0], (x, bias))
    for name in ("gelu", "gelu_tanh", "silu"):
        found[f"{name}, backward"] = (
            lambda dy, x, b, name=name: OPS.activation_dropout_backward(dy, rows, x, b, 0.4, name),
            (residual, x, bias),
        )
    return found


def test_all_operators_are_here() -> None:
    names = {name.split(",")[0].replace("gelu_tanh", "silu") for name in operators()}
    activations = {"relu", "gelu", "silu", "activation_dropout", "activation_dropout_backward"}
    assert set(_operators.kernels) - {"no_tangent"} <= names | activations


@pytest.mark.parametrize("name", operators())
def test_gradcheck(name: str) -> None:
    f, inputs = operators()[name]
    assert torch.autograd.gradcheck(
        f, inputs, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True
    )
    assert torch.autograd.gradgradcheck(f, inputs, check_fwd_over_rev=True, check_rev_over_rev=True)


@pytest.mark.parametrize("name", operators())
def test_functionalize(name: str) -> None:
    f, inputs = operators()[name]
    inputs = tuple(t.detach() for t in inputs)
    want = f(*inputs)
    same(torch.func.functionalize(f)(*inputs), want)

    def total(*inputs: Tensor) -> Tensor:
        return f(*inputs).square().sum()

    every = tuple(range(len(inputs)))
    grads = torch.func.grad(total, every)(*inputs)
    for way in (
        torch.func.functionalize(torch.func.grad(total, every)),
        torch.func.grad(torch.func.functionalize(total), every),
    ):
        for a, b in zip(way(*inputs), grads, strict=True):
            same(a, b)


def test_functionalize_of_functions() -> None:
    x = torch.randn(4, 6, dtype=F64)
    for f in ALL.values():
        same(seeded(torch.func.functionalize(f), x), seeded(f, x))
    in_place = torch.func.functionalize(lambda x: bt.dropout(x * 1, 0.4, inplace=True))
    same(seeded(in_place, x), seeded(bt.dropout, x, 0.4))


def test_half_types_have_second_derivatives() -> None:
    x = torch.randn(64).bfloat16().requires_grad_()
    y = seeded(bt.activation_dropout, x, 0.4, "gelu")
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    assert h.dtype is torch.bfloat16
    z = x.detach().double().requires_grad_()
    (g,) = torch.autograd.grad(torch.nn.functional.gelu(z).sum(), z, create_graph=True)
    (want,) = torch.autograd.grad(g.sum(), z)
    kept = seeded(bt.dropout, torch.ones(64, dtype=F64), 0.4)
    torch.testing.assert_close(h.double(), want * kept, rtol=0.02, atol=0.02)


def test_an_operator_without_tangents_says_so() -> None:
    class Formulas:
        setup_context = staticmethod(lambda ctx, inputs, output: None)
        backward = staticmethod(lambda ctx, dy: dy)

    if "no_tangent" not in _operators.kernels:
        _operators.define("no_tangent(Tensor x) -> Tensor", torch.clone, torch.empty_like, Formulas)
    x = torch.ones(3)
    with pytest.raises(NotImplementedError, match=r"bitdrop: .*reverse-mode"):
        torch.func.jvp(OPS.no_tangent, (x,), (x,))
    with forward_ad.dual_level(), pytest.raises(NotImplementedError, match="bitdrop"):
        OPS.no_tangent(forward_ad.make_dual(x, x))
