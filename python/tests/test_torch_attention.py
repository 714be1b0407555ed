# SPDX-License-Identifier: Apache-2.0
"""scaled_dot_product_attention of bitdrop.torch, compared with formulas in float64 that use the mask of the oracle."""

from collections.abc import Callable
from typing import Any

import oracle
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from heads import P, alike, by_rows, inputs, rows_first
from seeded import OPS, same, seed_of_7, seeded
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

import bitdrop.torch as bt
from bitdrop.torch import _attention_calls, _kernels
from bitdrop.torch._attention import why_not

TOLERANCES = {torch.float64: 1e-13, torch.float32: 3e-6, torch.float16: 3e-3, torch.bfloat16: 2e-2}
INF = float("inf")
r = torch.randn
attend = bt.scaled_dot_product_attention


@pytest.fixture(autouse=True)
def _start() -> Any:
    torch.manual_seed(1)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def formulas(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float, causal: bool, scale: float | None
) -> Tensor:
    """The formula in PyTorch's documentation, in float64, with the mask of a call in seeded()."""
    q, k, v = q.double(), k.double(), v.double()
    if q.dim() > 2 and q.shape[-3] > k.shape[-3] > 1:
        k, v = (x.repeat_interleave(q.shape[-3] // k.shape[-3], -3) for x in (k, v))
    t = q @ k.transpose(-2, -1) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if causal:
        t = t.masked_fill(~torch.ones(t.shape[-2:], dtype=torch.bool).tril(), -INF)
    if mask is not None:
        t = t.masked_fill(~mask, -INF) if mask.dtype is torch.bool else t + mask.double()
    hidden = (t == -INF).all(-1, keepdim=True)
    prob = torch.softmax(t.masked_fill(hidden, 0), -1).masked_fill(hidden, 0)
    bits = oracle.keep_flat(prob.numel(), p, seed=seed_of_7()).reshape(prob.shape)
    return (prob * torch.from_numpy(bits) * oracle.scale(p)) @ v


def near(got: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    assert got.dtype is dtype
    size = max(1.0, expected.abs().max().item()) if expected.numel() else 1.0
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=TOLERANCES[dtype] * size)


def check(qkv: list[Tensor], mask: Tensor | None = None, p: float = P, causal: bool = False, **options: Any) -> Tensor:
    """Check that the result and the gradients are those of the formulas. Returns the result."""
    scale = options.get("scale")
    out = seeded(attend, *qkv, mask, p, causal, **options)
    expected = formulas(*qkv, mask, p, causal, scale)
    with sdpa_kernel(SDPBackend.MATH):  # the other kernel supports fewer shapes of masks
        assert out.shape == F.scaled_dot_product_attention(*qkv, mask, is_causal=causal, **options).shape
    near(out, expected, out.dtype)
    dout = torch.randn(out.shape).to(out.dtype)
    got = torch.autograd.grad(out, qkv, dout)
    for a, b in zip(got, torch.autograd.grad(expected, qkv, dout.double()), strict=True):
        near(a, b.double(), out.dtype)
    with torch.no_grad():
        same(seeded(attend, *qkv, mask, p, causal, **options), out)
    return out


# ---- Values.


def test_seeds() -> None:
    """The bits are those of the seed that the generator draws. Without dropout no seed is drawn."""
    qkv = alike()
    torch.manual_seed(7)
    one, other = attend(*qkv, dropout_p=P), attend(*qkv, dropout_p=P)
    same(seeded(attend, *qkv, dropout_p=P), one)
    assert not torch.equal(one, other)
    generator = torch.Generator().manual_seed(7)
    same(attend(*qkv, dropout_p=P, generator=generator), one)
    same(attend(*qkv, dropout_p=P, generator=generator), other)
    torch.manual_seed(7)
    attend(*qkv)
    same(attend(*qkv, dropout_p=P), one)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("p", [0.0, P, 1.0])
def test_values(dtype: torch.dtype, p: float) -> None:
    check(inputs((2, 4, 6, 5), (2, 4, 21, 5), (2, 4, 21, 3), dtype=dtype), None, p)
    check(inputs((2, 4, 6, 5), (2, 4, 9, 5), (2, 4, 9, 5), dtype=dtype), None, p, causal=True, scale=-0.4)
    check(inputs((2, 4, 6, 5), (2, 2, 9, 5), (2, 2, 9, 5), dtype=dtype), None, p, enable_gqa=True)


@pytest.mark.parametrize(
    "shapes",
    [
        [(6, 8), (7, 8), (7, 5)],
        [(3, 6, 8), (3, 7, 8), (3, 7, 5)],
        [(2, 3, 4, 6, 8), (2, 3, 4, 7, 8), (2, 3, 4, 7, 5)],
        [(2, 4, 6, 8), (4, 7, 8), (1, 4, 7, 5)],  # samples share k and v
        [(2, 4, 6, 8), (2, 1, 7, 8), (2, 1, 7, 5)],  # heads share k and v
        [(1, 1, 6, 8), (2, 4, 7, 8), (2, 4, 7, 5)],  # all samples and heads share q
        [(1, 1, 1, 1)] * 3,
    ],
)
def test_shapes(shapes: list[tuple[int, ...]]) -> None:
    check(inputs(*shapes))


def test_nothing_to_see() -> None:
    for shapes in ([(0, 4, 6, 8)] * 3, [(2, 4, 0, 8), (2, 4, 7, 8), (2, 4, 7, 8)]):
        qkv = inputs(*shapes)
        out = attend(*qkv, dropout_p=P)
        assert out.shape == shapes[0]
        out.sum().backward()
        assert all((x.grad == 0).all() for x in qkv)
    qkv = inputs((2, 4, 6, 8), (2, 4, 0, 8), (2, 4, 0, 5))
    out = attend(*qkv, dropout_p=P)
    same(out, torch.zeros(2, 4, 6, 5))
    same(out, F.scaled_dot_product_attention(*qkv, dropout_p=P))
    out.sum().backward()
    assert (qkv[0].grad == 0).all()
    assert (OPS.attention(*qkv, None, None, 0.0, False, None)[1] == -INF).all()
    qkv = inputs((2, 4, 6, 8), (2, 4, 7, 8), (2, 4, 7, 0))
    out = attend(*qkv, dropout_p=P)
    assert out.shape == (2, 4, 6, 0)
    out.sum().backward()
    assert (qkv[0].grad == 0).all()


MASKS = [(2, 4, 6, 9), (2, 1, 1, 9), (4, 6, 9), (6, 9), (1, 9), (9,), (6, 1), (2, 1, 6, 9), ()]


@pytest.mark.parametrize("shape", MASKS)
def test_masks(shape: tuple[int, ...]) -> None:
    qkv = inputs((2, 4, 6, 8), (2, 4, 9, 8), (2, 4, 9, 8))
    check(qkv, torch.rand(shape) > 0.4)
    bias = torch.randn(shape)
    check(qkv, bias)
    check(qkv, bias.expand(2, 4, 6, 9))
    check(qkv, bias.expand(2, 4, 6, 9).contiguous())
    half = [x.detach().half().requires_grad_() for x in qkv]
    check(half, bias.half())
    same(seeded(attend, *half, bias, P), seeded(attend, *half, bias.half(), P))


def test_masks_of_other_dimensions() -> None:
    qkv = inputs(*[(2, 3, 4, 6, 8)] * 3)
    for shape in ((6, 6), (4, 1, 6), (1, 1, 4, 6, 6), (3, 1, 1, 6), (2, 1, 1, 1, 6), (2, 3, 4, 6, 6)):
        check(qkv, torch.rand(shape) > 0.4)
    check(inputs(*[(4, 6, 8)] * 3), torch.rand(4, 1, 6) > 0.4)
    check(inputs(*[(6, 8)] * 3), torch.randn(6, 6))
    wide = torch.randn(6, 12)
    for mask in (wide[:, 3:9], wide[:, ::2], wide[:, :6].t()):
        check(alike(), mask)


def test_rows_that_see_nothing() -> None:
    """They get zeros, as in PyTorch. But a mask that has the lowest float32 number for all keys hides no key."""
    q, k, v = alike()
    seen = torch.ones(6, 6, dtype=torch.bool)
    seen[2] = False
    for mask in (seen, torch.zeros(6, 6).masked_fill(~seen, -INF)):
        out = check([q, k, v], mask)
        assert (out[:, :, 2] == 0).all()
        same(F.scaled_dot_product_attention(q, k, v, mask)[:, :, 2], out[:, :, 2])
    lowest = torch.full((6, 6), torch.finfo(torch.float32).min)
    assert (attend(q.half(), k.half(), v.half(), lowest) != 0).any(-1).all()
    means = v.bfloat16().float().mean(2, keepdim=True).bfloat16().expand(2, 4, 6, 8)
    torch.testing.assert_close(attend(q.bfloat16(), k.bfloat16(), v.bfloat16(), lowest), means, atol=1e-2, rtol=0)


def test_autocast() -> None:
    qkv = alike()
    mask = torch.randn(6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        out = seeded(attend, *qkv, mask, P)
        assert F.scaled_dot_product_attention(*qkv, mask).dtype is torch.bfloat16
    same(out, seeded(attend, *[x.bfloat16() for x in qkv], mask.bfloat16(), P))


# ---- Memory.


@pytest.mark.parametrize("order", [by_rows, rows_first])
def test_order_in_memory(order: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """Results have the order of dimensions of q, and gradients that of their inputs. Nothing is copied."""
    qkv = inputs((2, 4, 6, 8), (2, 4, 7, 8), (2, 4, 7, 5))
    dout = torch.randn(2, 4, 6, 5)
    expected = seeded(attend, *qkv, dropout_p=P)
    gradients = torch.autograd.grad(expected, qkv, dout)
    monkeypatch.setattr(_attention_calls, "_copy", None)
    ordered = [order(x) for x in qkv]
    out = seeded(attend, *ordered, dropout_p=P)
    same(out, expected)
    assert out.stride() == order(expected).stride()
    for x, gradient in zip(ordered, torch.autograd.grad(out, ordered, order(dout)), strict=True):
        assert gradient.stride() == x.stride()
    for a, b in zip(torch.autograd.grad(seeded(attend, *ordered, dropout_p=P), ordered, dout), gradients, strict=True):
        same(a, b)


PACKED = {
    "rows, 3, heads": lambda x: x.view(2, 6, 3, 4, 8).permute(2, 0, 3, 1, 4),
    "one row": lambda x: x.view(-1, 1, 3, 6, 8)[:2].permute(2, 0, 3, 1, 4),
    "rows, heads, 3": lambda x: x.view(2, 6, 4, 3, 8).permute(3, 0, 2, 1, 4),
    "columns": lambda x: x.view(3, 2, 4, 8, 6).transpose(3, 4),
    "every second row": lambda x: x.view(3, 2, 2, 12, 8)[:, :, :, ::2].expand(3, 2, 2, 6, 8),
    "repeated": lambda x: x.view(3, 2, 24, 8)[:, :, None, :6].expand(3, 2, 4, 6, 8),
}


@pytest.mark.parametrize("view", PACKED)
def test_views(view: str) -> None:
    """Inputs that are views of one tensor: the gradient of that tensor."""
    x = torch.randn(2 * 6 * 3 * 4 * 8, requires_grad=True)

    def run(copy: bool) -> Any:
        qkv = PACKED[view](x).unbind(0)
        out = seeded(attend, *[y.contiguous() for y in qkv] if copy else qkv, dropout_p=P)
        return out, *torch.autograd.grad(out, x, torch.ones(()).expand(out.shape))

    for a, b in zip(run(False), run(True), strict=True):
        same(a, b)


def test_gradients_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """If q, k and v together fill one tensor, so do their gradients, and nothing is copied."""
    monkeypatch.setattr(_attention_calls, "_copy", None)
    for x in (r(3, 5, 4 * 8 + 2 * 8 + 2 * 8), r(1, 5, 64), r(3, 1, 64)):
        sizes = (32, 16, 16)
        views = [y.unflatten(2, (-1, 8)).transpose(1, 2) for y in x.split(sizes, 2)]
        for i, j, k in ((0, 1, 2), (0, 2, 1)):
            qkv = [y.detach().requires_grad_() for y in (views[i], views[j], views[k])]
            out = seeded(attend, *qkv, dropout_p=P, enable_gqa=True)
            gradients = torch.autograd.grad(out.sum(), qkv)
            assert len({g.untyped_storage().data_ptr() for g in gradients}) == 1
            copies = [y.detach().clone().requires_grad_() for y in qkv]
            of_copies = torch.autograd.grad(seeded(attend, *copies, dropout_p=P, enable_gqa=True).sum(), copies)
            for a, b in zip(gradients, of_copies, strict=True):
                same(a, b)


def test_gradients_have_no_gaps() -> None:
    """If the projection has other columns too, the gradients are three tensors."""
    views = [y.unflatten(2, (-1, 8)).transpose(1, 2) for y in r(3, 5, 104).split((32, 32, 32, 8), 2)]
    qkv = [y.detach().requires_grad_() for y in views[:3]]
    for gradient in torch.autograd.grad(attend(*qkv, dropout_p=P).sum(), qkv):
        assert gradient.untyped_storage().nbytes() == 4 * gradient.numel()


def test_repeated_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head of k and v that all heads of q share is not copied. The result never repeats elements."""
    q, k, v = inputs((2, 4, 6, 8), (2, 1, 7, 8), (2, 1, 7, 8))
    same(attend(q[:, :1].expand(2, 4, 6, 8), k, v), attend(q[:, :1].repeat(1, 4, 1, 1), k, v))
    assert attend(q[:1].expand(2, 4, 6, 8), k, v).is_contiguous()
    monkeypatch.setattr(_attention_calls, "_copy", None)
    attend(q, k, v, dropout_p=P).sum().backward()


def test_kept() -> None:
    """Kept for the backward pass: q, k, v, the mask, the result, and one number for each row."""
    kept: dict[int, Tensor] = {}
    mask = torch.rand(2, 1, 1, 6) > 0.2

    def keep(x: Tensor) -> Tensor:
        kept[x.data_ptr()] = x
        return x

    q, k, v = alike()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        out = attend(q, k, v, mask, P)
    for x in (q, k, v, mask, out):
        kept.pop(x.data_ptr())
    (lse,) = kept.values()
    assert (lse.shape, lse.dtype) == ((2, 4, 6), torch.float32)


def test_backward_twice_and_changed_inputs() -> None:
    q, k, v = alike()
    out = attend(q, k, v, dropout_p=P)
    out.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        out.sum().backward()
    out = attend(q * 1, k, v, dropout_p=P)
    with torch.no_grad():
        k.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        out.sum().backward()


def test_some_gradients() -> None:
    qkv = alike()
    expected = torch.autograd.grad(seeded(attend, *qkv, dropout_p=P).sum(), qkv)
    for i in range(3):
        x = [y.detach().requires_grad_(i == j) for j, y in enumerate(qkv)]
        same(*torch.autograd.grad(seeded(attend, *x, dropout_p=P).sum(), x[i]), expected[i])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_threads_do_not_change_bytes(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    qkv = inputs((1, 3, 130, 8), (1, 1, 700, 8), (1, 1, 700, 8), dtype=dtype)
    dout = torch.randn(1, 3, 130, 8).to(dtype)
    used = []
    team = _kernels._team
    monkeypatch.setattr(_kernels, "_team", lambda threads: used.append(threads) or team(threads))
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        out = seeded(attend, *qkv, dropout_p=P, enable_gqa=True)
        results.append((out, *torch.autograd.grad(out, qkv, dout)))
        for a, b in zip(results[0], results[-1], strict=True):
            same(a, b)
    assert used == ([2, 2, 3, 3] if _kernels._openmp else [])


# ---- Wrong arguments.

x4 = r(2, 4, 6, 8)
PYTORCH_REFUSES = {
    "1 dimension": ((r(8), r(8), r(8)), {}),
    "dtypes": ((x4, x4.double(), x4), {}),
    "elements": ((x4, r(2, 4, 6, 7), x4), {}),
    "rows of value": ((x4, x4, r(2, 4, 7, 8)), {"dropout_p": P}),
    "heads": ((x4, r(2, 2, 6, 8), r(2, 2, 6, 8)), {}),
    "groups": ((x4, r(2, 3, 6, 8), r(2, 3, 6, 8)), {"enable_gqa": True}),
    "batch": ((x4, r(3, 4, 6, 8), r(3, 4, 6, 8)), {}),
    "mask of integers": ((x4, x4, x4, torch.ones(6, 6, dtype=torch.int64)), {}),
    "shape of mask": ((x4, x4, x4, r(5, 6)), {}),
    "dimensions of mask": ((x4, x4, x4, r(1, 1, 1, 6, 6)), {}),
    "mask and causal": ((x4, x4, x4, r(6, 6)), {"is_causal": True, "dropout_p": P}),
    "p": ((x4, x4, x4), {"dropout_p": 1.5}),
    "type of p": ((x4, x4, x4), {"dropout_p": "0.5"}),
    "type of scale": ((x4, x4, x4), {"scale": "1"}),
    "no tensor": ((x4, x4, None), {}),
    "mask is no tensor": ((x4, x4, x4, [1.0]), {}),
}


@pytest.mark.parametrize("name", PYTORCH_REFUSES)
def test_errors_of_pytorch(name: str) -> None:
    args, kwargs = PYTORCH_REFUSES[name]
    with pytest.raises((RuntimeError, TypeError)) as theirs:
        F.scaled_dot_product_attention(*args, **kwargs)
    with pytest.raises(theirs.type, match=r"^bitdrop: "):
        attend(*args, **kwargs)
    assert why_not(*args, **kwargs)


@pytest.mark.parametrize("p", [-0.1, float("nan"), float("inf")])
def test_bad_p(p: float) -> None:
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        attend(x4, x4, x4, dropout_p=p)


def test_errors_of_our_own() -> None:
    for args, kwargs, error, match in (
        ((x4.cfloat(),) * 3, {}, TypeError, "convert"),
        ((x4.to_sparse(),) * 3, {}, TypeError, "to_dense"),
        ((torch.nested.nested_tensor([r(4, 6, 8)]),) * 3, {}, TypeError, "pad"),
        ((x4, x4, x4), {"scale": 0.0}, ValueError, "scale"),
        ((x4, x4, x4), {"scale": float("inf")}, ValueError, "scale"),
        ((x4[..., :0], x4[..., :0], x4), {}, ValueError, "no elements"),
        ((x4, x4, x4, r(6, 6, requires_grad=True)), {}, ValueError, "detach"),
    ):
        with pytest.raises(error, match=f"bitdrop: .*{match}"):
            attend(*args, **kwargs)
        assert match in str(why_not(*args, **kwargs))
    with torch.no_grad():
        attend(x4, x4, x4, r(6, 6, requires_grad=True))
    assert attend(*[x4.to("meta")] * 3, dropout_p=P).device.type == "meta"


def test_why_not_of_a_call_that_is_accepted() -> None:
    assert why_not(x4, x4, x4) is None
    assert why_not(x4, x4, x4, torch.ones(6, dtype=torch.bool), P, False, 0.5, True) is None
    assert why_not(x4.bfloat16(), x4.bfloat16(), x4.bfloat16(), r(6, 6), P, False) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_gpu_tensor() -> None:
    with pytest.raises(ValueError, match="on the CPU"):
        attend(*[x4.cuda()] * 3)


def test_operators_check_their_inputs() -> None:
    q, k, v = (x.detach() for x in alike())
    rest = (None, torch.tensor(1), P, False, None)
    for args, error, match in (
        ((q, k, v, None, None, P, False, None), TypeError, "seed"),
        ((q[0], k[0], v[0], *rest), RuntimeError, "four dimensions"),
        ((q, k[:1], v[:1], *rest), RuntimeError, "batch"),
        ((q, k, v.double(), *rest), RuntimeError, "convert"),
        ((q, k, v, None, torch.tensor(1.0), P, False, None), TypeError, "one int64"),
    ):
        with pytest.raises(error, match=f"bitdrop: .*{match}"):
            OPS.attention(*args)
    with pytest.raises(ValueError, match="detach"):
        OPS.attention(q, k, v, torch.zeros(1, 1, 6, 6, requires_grad=True), *rest[1:])
    out, lse = OPS.attention(q, k, v, *rest)
    for changed in ((out[:1], out, lse), (out, out.double(), lse), (out, out, lse[:1])):
        with pytest.raises(TypeError, match=r"bitdrop: .* must be"):
            OPS.attention_backward(changed[0], q, k, v, None, changed[1], changed[2], *rest[1:])
