# SPDX-License-Identifier: Apache-2.0
"""scaled_dot_product_attention of bitdrop.torch under transforms of PyTorch: derivatives, vmap, compilation."""

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from heads import P, alike, by_rows, inputs, rows_first
from seeded import OPS, compiled_autograd, same, seed_of_7, seeded
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

import bitdrop.torch as bt

attend = bt.scaled_dot_product_attention


@pytest.fixture(autouse=True)
def _start() -> None:
    torch.manual_seed(1)


# ---- Derivatives and vmap.


def seeded_attend(*qkv: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    return seeded(attend, *qkv, mask, P, causal)


def test_gradcheck() -> None:
    qkv = [torch.randn(1, 2, 3, 2, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    one = [x.detach()[:, :1].clone().requires_grad_() for x in qkv]
    hidden = torch.tensor([[True, False, True], [False] * 3, [True] * 3])
    assert torch.autograd.gradcheck(seeded_attend, qkv, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(lambda *x: seeded_attend(*x, mask=hidden), one)
    assert torch.autograd.gradgradcheck(lambda *x: seeded_attend(*x, causal=True), one)
    seed = torch.tensor(5)
    assert torch.autograd.gradcheck(lambda *x: OPS.attention(*x, None, seed, P, False, None)[0], one)


def test_opcheck() -> None:
    seed = torch.tensor(5)
    all_tests = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
    for order, tests in ((torch.clone, all_tests[:3]), (by_rows, all_tests), (rows_first, all_tests[:3])):
        q, k, v = (order(x.detach()).requires_grad_() for x in inputs((2, 4, 6, 8), (2, 2, 7, 8), (2, 2, 7, 5)))
        mask, *options = (torch.rand(2, 1, 1, 7) > 0.2, seed, P, False, 0.5)
        torch.library.opcheck(OPS.attention.default, (q, k, v, mask, *options), test_utils=tests)
        out, lse = OPS.attention(q, k, v, mask, *options)
        assert not lse.requires_grad
        inputs_ = (out.detach(), q, k, v, mask, out.detach(), lse, *options)
        torch.library.opcheck(OPS.attention_backward.default, inputs_, test_utils=all_tests[:3])
    torch.library.opcheck(OPS.attention.default, (q, k, v, None, None, 0.0, True, None), test_utils=all_tests[:3])


def test_operator_is_the_same() -> None:
    q, k, v = alike()
    seed = torch.tensor(seed_of_7())
    out = OPS.attention(q, k, v, None, seed, P, True, None)[0]
    dout = torch.randn(out.shape)
    expected = seeded(attend, q, k, v, None, P, True)
    same(out, expected)
    pairs = (torch.autograd.grad(x, (q, k, v), dout) for x in (out, expected))
    for a, b in zip(*pairs, strict=True):
        same(a, b)


def test_func() -> None:
    q, k, v = (x.detach() for x in alike())

    def loss(q: Tensor) -> Tensor:
        return (attend(q, k, v, dropout_p=P) ** 2).sum()

    x = q.clone().requires_grad_()
    same(seeded(torch.func.grad(loss), q), *torch.autograd.grad(seeded(loss, x), x))
    of_scale = [
        seeded(transform(torch.func.grad(lambda s: loss(s * q))), torch.tensor(1.5))
        for transform in (torch.func.grad, torch.func.jacrev, lambda f: torch.func.jacfwd(f, randomness="same"))
    ]
    torch.testing.assert_close(of_scale[1], of_scale[0])
    torch.testing.assert_close(of_scale[2], of_scale[0], rtol=1e-4, atol=1e-4)
    same(seeded(torch.func.functionalize(loss), q), seeded(loss, q))
    with pytest.raises(ValueError, match="detach"):
        torch.func.grad(lambda mask: attend(q, k, v, mask).sum())(torch.randn(6, 6))


def test_forward_mode() -> None:
    """Forward mode, also over the backward pass. The operators refuse a tangent; they do not drop it."""
    q, k, v = (x.detach() for x in alike())
    tangent = torch.randn(q.shape)

    def gradient(q: Tensor) -> Tensor:
        return torch.autograd.grad((seeded_attend(q, k, v) ** 2).sum(), q, create_graph=True)[0]

    x = q.clone().requires_grad_()
    (expected,) = torch.autograd.grad((gradient(x) * tangent).sum(), x)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, tangent)
        torch.testing.assert_close(forward_ad.unpack_dual(gradient(dual)).tangent, expected, rtol=1e-4, atol=1e-5)
        with pytest.raises(NotImplementedError, match="forward-mode"):
            OPS.attention(dual, k, v, None, None, 0.0, False, None)


def test_vmap() -> None:
    q, k, v = (torch.stack([x.detach()] * 3) for x in alike())

    def f(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(q, k, v, dropout_p=P)

    equal = seeded(torch.func.vmap(f, randomness="same"), q, k, v)
    same(equal, seeded(f, q[0], k[0], v[0]).expand(equal.shape))
    different = torch.func.vmap(f, randomness="different")(q, k, v)
    assert not torch.equal(different[0], different[1])
    with pytest.raises(RuntimeError, match="randomness"):
        torch.func.vmap(f)(q, k, v)
    same(torch.func.vmap(attend, in_dims=(0, None, None))(q, k[0], v[0]), attend(q, k, v))


# ---- Compiling, tracing, checkpoints.


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoint_replays(use_reentrant: bool) -> None:
    def block(q: Tensor) -> Tensor:
        return attend(attend(q * 2, q, q, dropout_p=P), q, q, dropout_p=P)

    x = torch.randn(2, 4, 6, 8, requires_grad=True)
    y = seeded(checkpoint, block, x, use_reentrant=use_reentrant)
    torch.rand(10)  # changes the state of the generator between the passes
    y.sum().backward()
    same(x.grad, *torch.autograd.grad(seeded(block, x).sum(), x))


class Block(torch.nn.Module):
    """Attention as in models: a projection, heads that are views of its result, and another projection."""

    def __init__(self) -> None:
        super().__init__()
        self.project, self.out = torch.nn.Linear(16, 48), torch.nn.Linear(16, 16)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention is causal if there is no mask."""
        q, k, v = (y.view(*x.shape[:2], 2, 8).transpose(1, 2) for y in self.project(x).split(16, 2))
        y = attend(q, k, v, mask, P, is_causal=mask is None, scale=q.shape[-1] ** -0.5)
        return self.out(y.transpose(1, 2).reshape(x.shape))


def step(f: Callable[..., Tensor], net: Block, x: Tensor, mask: Tensor | None) -> list[Tensor]:
    """The result and all gradients."""
    y = seeded(f, x, mask)
    return [y, *torch.autograd.grad((y**2).sum(), list(net.parameters()))]


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compile(backend: str) -> None:
    torch._dynamo.reset()
    net = Block()
    f = torch.compile(net, backend=backend, fullgraph=True, dynamic=True)
    with torch._inductor.config.patch(fallback_random=True):
        for shape in ((3, 9, 16), (2, 5, 16), (4, 12, 16)):
            x = torch.randn(shape)
            masks = (None, torch.rand(shape[0], 1, 1, shape[1]) > 0.3)
            for mask in masks if backend == "aot_eager" else masks[1:]:  # inductor needs seconds for each
                torch.testing.assert_close(step(f, net, x, mask), step(net, net, x, mask))


def test_compile_of_func() -> None:
    """Transforms of torch.func do not break the graph."""
    q, k, v = (x.detach() for x in alike())

    def loss(q: Tensor) -> Tensor:
        return (attend(q, k, v, dropout_p=P) ** 2).sum()

    for function in (
        torch.func.grad(lambda q: torch.func.grad(loss)(q).sum()),
        torch.func.vmap(lambda q: attend(q, k[0], v[0], dropout_p=P), randomness="different"),
        lambda q: torch.func.jvp(loss, (q,), (q,)),
    ):
        torch._dynamo.reset()
        compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(seeded(compiled, q), seeded(function, q))


def test_compiled_autograd() -> None:
    q, k, v = alike()
    expected = torch.autograd.grad(seeded_attend(q, k, v).sum(), q)
    seed = torch.tensor(seed_of_7())
    for out in (seeded_attend(q, k, v), OPS.attention(q, k, v, None, seed, P, False, None)[0]):
        torch._dynamo.reset()
        q.grad = None
        with compiled_autograd(torch.compile(backend="aot_eager")):
            out.sum().backward()
        same(q.grad, *expected)


def test_export_and_fx() -> None:
    net, x = Block(), torch.randn(3, 9, 16)
    batch = torch.export.Dim("batch", min=1)
    exported = torch.export.export(net, (x,), dynamic_shapes=({0: batch},)).module()
    for n in (1, 3):
        torch.testing.assert_close(seeded(exported, x[:n]), seeded(net, x[:n]))
    traced = torch.fx.symbolic_trace(lambda q: attend(q, q, q, dropout_p=P))
    assert attend in [node.target for node in traced.graph.nodes]
    q = alike()[0]
    same(seeded(traced, q), seeded(attend, q, q, q, dropout_p=P))


def test_derivatives_round_the_mask_too() -> None:
    """Forward mode returns the value of the plain call: both round a float32 mask to bfloat16."""
    torch.manual_seed(1)
    q, k, v = (torch.randn(1, 1, 4, 8).bfloat16() for _ in range(3))
    mask = -100.3 - torch.rand(4, 4)
    want = bt.scaled_dot_product_attention(q, k, v, mask)
    got, _ = torch.func.jvp(lambda q: bt.scaled_dot_product_attention(q, k, v, mask), (q,), (q,))
    torch.testing.assert_close(got, want, atol=0.02, rtol=0.02)
