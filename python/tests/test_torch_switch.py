# SPDX-License-Identifier: Apache-2.0
"""enable, disable and is_enabled: what they cover in eager mode."""

import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from seeded import same, seeded
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import bitdrop.torch as bt
from bitdrop.errors import MissingPackageError
from bitdrop.torch import _attention_calls, _kernels, _switch


def is_bitdrops(f: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    """True if f drops the same elements as bt.dropout with p = 0.5."""
    return torch.equal(seeded(f, x) != 0, seeded(bt.dropout, x) != 0)


ONES = torch.ones(100)


# ---- The switch.


def test_on_and_off() -> None:
    assert not bt.is_enabled()
    bt.disable()
    stock = seeded(F.dropout, ONES)
    for _ in range(2):
        bt.enable()
        bt.enable()
        assert bt.is_enabled()
        assert is_bitdrops(F.dropout, ONES)
        bt.disable()
        assert not bt.is_enabled()
        same(seeded(F.dropout, ONES), stock)
    assert "dropout" not in vars(torch._VF)


@pytest.mark.usefixtures("enabled")
def test_every_thread() -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(is_bitdrops(F.dropout, ONES)))
    thread.start()
    thread.join()
    assert found == [True]


def test_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_switch, "_warned", False)
    monkeypatch.setattr(torch, "__version__", "2.6.1+cpu")
    with pytest.raises(MissingPackageError, match=r"2\.7 or newer, and this is 2\.6\.1\+cpu: pip install"):
        bt.enable()
    assert not bt.is_enabled()
    monkeypatch.setattr(torch, "__version__", "9.0.0a0+git1")
    with pytest.warns(UserWarning, match=r"bitdrop: .* 9\.0\.0a0\+git1"):
        bt.enable()
    bt.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bt.enable()
    assert is_bitdrops(F.dropout, ONES)
    bt.disable()


# ---- Eager mode.


@pytest.mark.usefixtures("enabled")
@pytest.mark.parametrize("dtype", _kernels.DTYPES)
def test_functions(dtype: torch.dtype) -> None:
    x = torch.randn(3000, dtype=dtype, requires_grad=True)
    want = seeded(bt.dropout, x, 0.3)
    (want_grad,) = torch.autograd.grad(want, x, torch.ones_like(want))
    for f in (F.dropout, torch.dropout, torch.ops.aten.dropout):
        y = seeded(f, x, 0.3, True)
        same(y, want)
        same(torch.autograd.grad(y, x, torch.ones_like(y))[0], want_grad)
    for f in (lambda x: F.dropout(x, 0.3, True, True), lambda x: torch.dropout_(x, 0.3, True)):
        inplace = x * 1
        y = seeded(f, inplace)
        assert y is inplace
        same(y, want)
        same(torch.autograd.grad(y, x, torch.ones_like(y))[0], want_grad)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            same(seeded(F.dropout, x.detach(), 0.3), want.detach())
            same(seeded(F.dropout, x.detach().clone(), 0.3, inplace=True), want.detach())


@pytest.mark.usefixtures("enabled")
def test_nothing_is_dropped() -> None:
    for x in (torch.randn(4), torch.empty(0), torch.randn(4, dtype=torch.complex64), torch.arange(4)):
        for p, train in ((0.0, True), (0.5, False)):
            state = torch.get_rng_state()
            for inplace in (False, True):
                y = F.dropout(x, p, train, inplace)
                assert y.data_ptr() == x.data_ptr()
                same(y, x)
            assert torch.equal(torch.get_rng_state(), state)
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(RuntimeError, match="probability"):
            torch.dropout(ONES, p, True)


@pytest.mark.usefixtures("enabled")
def test_modules(dropped: list[int]) -> None:
    x = torch.randn(5, 2, 8, requires_grad=True)
    images = torch.randn(2, 3, 4, 4, requires_grad=True)
    cases: list[tuple[nn.Module, Callable[[nn.Module], Any], list[int]]] = [
        (nn.Dropout(0.5), lambda m: m(x), [80]),
        (nn.Dropout(0.5, inplace=True), lambda m: m(x * 1), [80]),
        (nn.AlphaDropout(0.5), lambda m: m(x), [80]),
        (nn.FeatureAlphaDropout(0.5), lambda m: m(images), [96]),
        (nn.Dropout1d(0.5), lambda m: m(x), [80]),
        (nn.Dropout2d(0.5, inplace=True), lambda m: m(images * 1), [96]),
        (nn.LSTM(8, 8, num_layers=3, dropout=0.5), lambda m: m(x)[0], [80, 80]),
        (nn.GRU(8, 8, num_layers=2, dropout=0.5), lambda m: m(x)[0], [80]),
        (nn.MultiheadAttention(8, 2, dropout=0.5), lambda m: m(x, x, x, need_weights=True)[0], [100]),
        (nn.MultiheadAttention(8, 2, dropout=0.5), lambda m: m(x, x, x, need_weights=False)[0], [100]),
        (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5), lambda m: m(x), [100, 80, 160, 80]),
    ]
    for module, call, sizes in cases:
        dropped.clear()
        y = call(module)
        assert dropped == sizes, module
        y.sum().backward()
        dropped.clear()
        call(module.eval())
        assert dropped == [], module


@pytest.mark.usefixtures("enabled")
def test_dropped_once() -> None:
    """With enable(), a module of bitdrop and attention by PyTorch's formula drop only once."""
    x = torch.ones(20_000)
    for module in (bt.Dropout(0.5), nn.Dropout(0.5)):
        assert 0.47 < float((module(x) == 0).float().mean()) < 0.53
    q = torch.ones(1, 1, 100, 4)
    values = torch.eye(100)[None, None]
    mask = torch.zeros(100, 100, requires_grad=True)
    for attn_mask in (None, mask):
        weights = F.scaled_dot_product_attention(q, q, values, attn_mask, 0.5)
        assert 0.47 < float((weights == 0).float().mean()) < 0.53
        torch.testing.assert_close(weights.max(), torch.tensor(0.02))


@pytest.mark.usefixtures("enabled")
def test_attention_by_math(dropped: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """An attention mask that requires grad gets its gradient. The weights show the dropout mask for the reference."""
    q, k = (torch.randn(2, 3, 7, 8, requires_grad=True) for _ in range(2))
    v = torch.eye(7).expand(2, 3, 7, 7)
    bias = torch.randn(7, 7, requires_grad=True)
    monkeypatch.delattr(_attention_calls, "_call_attention")
    y = F.scaled_dot_product_attention(q, k, v, bias, 0.4)
    assert dropped == [2 * 3 * 7 * 7]
    grads = torch.autograd.grad(y, [q, k, bias], torch.ones_like(y).cumsum(-1))
    kept = (y.detach() != 0) / 0.6
    plain = torch.softmax(q @ k.mT / 8**0.5 + bias, -1) * kept
    torch.testing.assert_close(y, plain)
    torch.testing.assert_close(grads, torch.autograd.grad(plain, [q, k, bias], torch.ones_like(y).cumsum(-1)))


@pytest.mark.usefixtures("enabled")
@pytest.mark.parametrize("dtype", _kernels.DTYPES)
def test_attention_is_bitdrops(dtype: torch.dtype, dropped: list[int]) -> None:
    q = torch.randn(2, 4, 7, 8, dtype=dtype, requires_grad=True)
    few = torch.randn(2, 2, 7, 8, dtype=dtype)
    causal = torch.ones(7, 7, dtype=torch.bool).tril()
    cases: list[tuple[Tensor, dict[str, Any]]] = [
        (q, {}),
        (q, {"is_causal": True, "scale": 0.3}),
        (q, {"attn_mask": causal}),
        (q, {"attn_mask": torch.randn(2, 1, 1, 7, dtype=dtype)}),
        (few, {"enable_gqa": True}),
    ]
    for k, options in cases:
        dropped.clear()
        y = seeded(F.scaled_dot_product_attention, q, k, k, dropout_p=0.4, **options)
        assert dropped == [2 * 4 * 7 * 7]
        want = seeded(bt.scaled_dot_product_attention, q, k, k, dropout_p=0.4, **options)
        same(y, want)
        same(*(torch.autograd.grad(out.sum(), q)[0] for out in (y, want)))


@pytest.mark.usefixtures("enabled")
def test_attention_without_dropout_is_pytorchs() -> None:
    q = torch.randn(2, 3, 7, 8, requires_grad=True)
    y = F.scaled_dot_product_attention(q, q, q, is_causal=True, scale=0.3)
    (grad,) = torch.autograd.grad(y.sum(), q)
    name = type(y.grad_fn).__name__
    bt.disable()
    stock = F.scaled_dot_product_attention(q, q, q, is_causal=True, scale=0.3)
    same(y, stock)
    same(grad, torch.autograd.grad(stock.sum(), q)[0])
    assert type(stock.grad_fn).__name__ == name
    bt.enable()


def test_backward_after_the_switch() -> None:
    x = torch.randn(5000, requires_grad=True)
    for first, then in ((bt.enable, bt.disable), (bt.disable, bt.enable)):
        first()
        y = F.dropout(x)
        then()
        (grad,) = torch.autograd.grad(y, x, torch.ones(5000))
        same(grad, 2 * (y != 0).float())
    bt.disable()


@pytest.mark.usefixtures("enabled")
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoint(use_reentrant: bool) -> None:
    x = torch.randn(3000, requires_grad=True)
    y = checkpoint(lambda x: F.dropout(F.dropout(x * 2) * 3), x, use_reentrant=use_reentrant)
    torch.rand(10)
    y.sum().backward()
    same(x.grad, 24 * (y != 0).float())


@pytest.mark.parametrize("n", [64, 5000])
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoint_across_the_switch_is_refused(use_reentrant: bool, n: int) -> None:
    """Its gradient would be wrong. PyTorch does not detect that for small tensors or with reentrant autograd."""

    def forward() -> tuple[Tensor, Tensor]:
        x = torch.randn(n, requires_grad=True)
        return x, checkpoint(lambda x: F.dropout(x.sin()).sin(), x, use_reentrant=use_reentrant)

    for first, then in ((bt.enable, bt.disable), (bt.disable, bt.enable)):
        first()
        _, finished = forward()
        finished.sum().backward()
        _, waiting = forward()
        then()
        with pytest.raises(RuntimeError, match=r"bitdrop: enable\(\) or disable\(\) was called between .* steps"):
            waiting.sum().backward()
        x, y = forward()
        then()  # the second call has no effect
        y.sum().backward()
        same(x.grad != 0, y != 0)
    bt.disable()


@pytest.mark.usefixtures("enabled")
def test_autocast() -> None:
    linear = nn.Linear(8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = F.dropout(linear(torch.randn(4, 8)))
        assert y.dtype is torch.bfloat16
        attention = F.scaled_dot_product_attention(*[torch.randn(1, 1, 4, 8)] * 3, dropout_p=0.1)
        assert attention.dtype is torch.bfloat16
    y.sum().backward()
    assert linear.weight.grad.dtype is torch.float32
