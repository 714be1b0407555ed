# SPDX-License-Identifier: Apache-2.0
"""enable, disable, is_enabled: what they reach, what they leave to PyTorch, and the caches that could hide them."""

import copy
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from interpreter import python
from seeded import Operators, same, seeded
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.utils.checkpoint import checkpoint

import bitdrop.torch as bt
from bitdrop.errors import MissingPackageError
from bitdrop.torch import _attention_calls, _kernels, _kernels_2d, _switch


@pytest.fixture
def enabled() -> Iterator[None]:
    bt.enable()
    yield
    bt.disable()


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The elements that each call of the C library drops from."""
    sizes: list[int] = []

    def count(module: Any, name: str, size: Callable[..., int]) -> None:
        call = getattr(module, name)

        def counted(*args: Any) -> Any:
            sizes.append(size(*args))
            return call(*args)

        monkeypatch.setattr(module, name, counted)

    count(_kernels, "_call_flat", lambda function, p, seed, x, *_: x.numel())
    count(_kernels_2d, "_call_2d", lambda name, p, seed, shape, y, *_: y.numel())
    count(_attention_calls, "_call_attention", lambda function, q, v, *_: q[..., 0].numel() * v.shape[-2])
    return sizes


def is_bitdrops(f: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    """True if f drops what bt.dropout drops with p = 0.5."""
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


# ---- Eager.


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
    """A module of bitdrop's and attention by PyTorch's math do not drop twice."""
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
    """A mask that requires grad gets its gradient, by the mask that is seen in the weights."""
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
    """Its gradient would be wrong, and PyTorch does not see that for small tensors or with reentrant autograd."""

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
        then()  # changes nothing
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


# ---- What stays PyTorch's.


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
    """As in eager mode, where PyTorch raises the error."""

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


# ---- Compiled, traced, exported.


def three(x: Tensor) -> Tensor:
    return F.dropout(x, 0.5), F.dropout(x, 0.5), F.dropout(x, 0.5)


def test_compiled_code_follows_the_switch(dropped: list[int]) -> None:
    x = torch.ones(3000, requires_grad=True)
    f = torch.compile(three, fullgraph=True)
    for switch, count in ((None, 0), (bt.enable, 3), (bt.disable, 0), (bt.enable, 3), (bt.disable, 0)):
        if switch is not None:
            switch()
        dropped.clear()
        outputs = f(x)
        assert len(dropped) == count
        assert len({tuple(y.tolist()) for y in outputs}) == 3
        for y in outputs:
            (grad,) = torch.autograd.grad(y, x, torch.ones_like(y), retain_graph=True)
            same(grad, 2 * (y != 0).float())


@pytest.mark.usefixtures("enabled")
def test_compiled_with_a_memory_budget() -> None:
    w = torch.rand(32, 32, requires_grad=True)
    x = torch.rand(32, 32, requires_grad=True)

    def f(x: Tensor) -> tuple[Tensor, Tensor]:
        a = F.dropout(torch.relu(x @ w))
        return a, F.dropout(torch.sin(a @ w), inplace=True)

    for budget in (0.1, 0.5, 0.9):
        torch.compiler.reset()
        with torch._functorch.config.patch(activation_memory_budget=budget):
            a, b = torch.compile(f, backend="aot_eager", fullgraph=True)(x)
            got = torch.autograd.grad([a, b], [x, w], [a.detach(), b.detach()])
        masks = [2 * (y != 0).float() for y in (a, b)]
        assert not torch.equal(*masks)
        plain_a = torch.relu(x @ w) * masks[0]
        plain = [plain_a, torch.sin(plain_a @ w) * masks[1]]
        torch.testing.assert_close(got, torch.autograd.grad(plain, [x, w], [a.detach(), b.detach()]))


@pytest.mark.usefixtures("enabled")
def test_compiled_checkpoint() -> None:
    torch.compiler.reset()
    x = torch.randn(3000, requires_grad=True)

    def f(x: Tensor) -> Tensor:
        return checkpoint(lambda x: F.dropout(F.dropout(torch.sin(x)) * 3), x, use_reentrant=False)

    y = torch.compile(f, backend="aot_eager", fullgraph=True)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, 12 * torch.cos(x) * (y != 0))


@pytest.mark.usefixtures("enabled")
def test_compiled_with_dynamic_shapes(dropped: list[int]) -> None:
    torch.compiler.reset()
    f = torch.compile(lambda x: F.dropout(x * 1, 0.3), backend="aot_eager", fullgraph=True, dynamic=True)
    for n in (9, 33, 70):
        same(seeded(f, torch.ones(n)), seeded(F.dropout, torch.ones(n), 0.3))
    evaluated = torch.compile(lambda x: F.dropout(x, 0.3, False) + 1, backend="aot_eager", fullgraph=True)
    dropped.clear()
    same(evaluated(ONES), ONES + 1)
    assert dropped == []


@pytest.mark.usefixtures("enabled")
def test_compiled_lstm(dropped: list[int]) -> None:
    """Dynamo leaves nn.LSTM to C++ code, which calls the switch's kernels and formulas outside of any graph."""
    torch.compiler.reset()
    lstm = nn.LSTM(8, 8, 2, dropout=0.5)

    def gradient(x: Tensor) -> Tensor:
        return torch.autograd.grad(lstm(x)[0].sum(), x)[0]

    compiled = torch.compile(gradient, backend="eager")
    sizes = [_kernels.SHARED // 8 + i for i in (0, 1, 2)]  # from the second on, Dynamo makes sizes symbolic
    for rows in sizes:
        x = torch.randn(1, rows, 8, requires_grad=True)
        torch.testing.assert_close(seeded(compiled, x), seeded(gradient, x))
    assert dropped == [8 * rows for rows in sizes for _ in range(4)]  # forward and backward, compiled and not


@pytest.mark.usefixtures("enabled")
def test_compiled_modules(dropped: list[int]) -> None:
    x = torch.randn(5, 2, 8, requires_grad=True)
    cases: list[tuple[nn.Module, Callable[[nn.Module, Tensor], Any], list[int]]] = [
        (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5), lambda m, x: m(x), [100, 80, 160, 80]),
        (nn.MultiheadAttention(8, 2, dropout=0.5), lambda m, x: m(x, x, x, need_weights=True)[0], [100]),
        (nn.LSTM(8, 8, num_layers=2, dropout=0.5), lambda m, x: m(x)[0], [80]),
        (nn.AlphaDropout(0.5), lambda m, x: m(x), [80]),
        (nn.Dropout1d(0.5), lambda m, x: m(x), [80]),
    ]
    for module, call, sizes in cases:
        torch.compiler.reset()
        torch._dynamo.utils.counters.clear()
        dropped.clear()
        y = torch.compile(call, backend="aot_eager")(module, x)
        assert dropped == sizes, module
        assert torch._dynamo.utils.counters["frames"]["total"] == 1, module  # of nn.LSTM, none of bitdrop's functions
        y.sum().backward()


CACHE = """
import sys, torch, bitdrop.torch
from bitdrop.torch import _kernels
from torch._dynamo.utils import counters
calls = []
call = _kernels._call_flat
_kernels._call_flat = lambda *args: calls.append(1) or call(*args)
if sys.argv[1:] == ["on"]:
    bitdrop.torch.enable()
x = torch.ones(3000, requires_grad=True)
y = torch.compile(lambda x: torch.nn.functional.dropout(x.sin(), 0.5))(x)
found, forward_calls = counters["aot_autograd"], len(calls)
y.sum().backward()
print(forward_calls, found["autograd_cache_hit"], torch.equal(x.grad != 0, y != 0))
"""


def test_cache_on_disk(tmp_path: Any) -> None:
    def outcome(on: bool) -> str:
        code = f"import sys; sys.argv = ['-c', {'on' if on else 'off'!r}]{CACHE}"
        done = python(code, TORCHINDUCTOR_CACHE_DIR=str(tmp_path), TORCHINDUCTOR_COMPILE_THREADS="1", timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert [outcome(on) for on in (False, True, True)] == ["0 0 True", "1 0 True", "1 1 True"]


def test_cache_key_is_restored() -> None:
    config = torch.compiler.config
    tags: list[str] = []
    before = config.cache_key_tag
    bt.enable()
    thread = threading.Thread(target=lambda: tags.append(config.cache_key_tag))
    thread.start()
    thread.join()
    assert "bitdrop" in tags[0]
    bt.disable()
    assert config.cache_key_tag == before
    with config.patch(cache_key_tag="mine"):
        bt.enable()
        assert config.cache_key_tag.startswith("mine;bitdrop")
        bt.disable()
        assert config.cache_key_tag == "mine"
    assert config.cache_key_tag == before


@pytest.mark.usefixtures("enabled")
def test_export_keeps_the_operator(dropped: list[int]) -> None:
    net, x = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), torch.randn(4, 8)
    for strict in (False, True):
        program = torch.export.export(net, (x,), strict=strict)
        targets = [str(node.target) for node in program.graph.nodes]
        assert "aten.dropout.default" in targets
        dropped.clear()
        program.module()(x)
        assert dropped == [32]
        targets = [str(node.target) for node in program.run_decompositions().graph.nodes]
        assert not any("bitdrop" in target for target in targets), targets


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("enabled")
def test_torchscript_keeps_the_operator(dropped: list[int]) -> None:
    net, x = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), torch.randn(4, 8)
    for compiled in (torch.jit.trace(net, (x,), check_trace=False), torch.jit.script(copy.deepcopy(net))):
        dropped.clear()
        y = compiled(x)
        assert dropped == [32]
        y.sum().backward()
        assert "aten::dropout" in str(compiled.inlined_graph)
