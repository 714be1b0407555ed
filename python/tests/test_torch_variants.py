# SPDX-License-Identifier: Apache-2.0
"""Alpha dropout, dropout of features and samples, and their modules."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from seeded import OPS, Operators, same, seed_of_7, seeded
from torch import Tensor, nn

import bitdrop
import bitdrop.torch as bt
from bitdrop.torch import _kernels_2d

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
FUNCTIONS = pytest.mark.parametrize("f", [bt.alpha_dropout, bt.feature_alpha_dropout, bt.feature_dropout])


def by_library(f: Callable[..., Tensor], x: Tensor, p: float, *, backward: bool = False) -> Tensor:
    """The result of the C library for x with the seed seed_of_7()."""
    alpha, rows = f is not bt.feature_dropout, f is not bt.alpha_dropout
    matrix = x.detach().reshape(x.shape[0] * x.shape[1], -1) if rows else x.detach().contiguous()
    forward = bitdrop.backward_alpha if alpha and backward else bitdrop.forward_alpha if alpha else bitdrop.recompute
    out = torch.empty_like(matrix)
    forward(matrix, p, seed=seed_of_7(), out=out, **({"unit": "row"} if rows else {}))
    return out.reshape(x.shape)


# ---- Values.


@FUNCTIONS
@pytest.mark.parametrize("dtype", DTYPES)
def test_bytes_are_the_c_librarys(f: Callable[..., Tensor], dtype: torch.dtype) -> None:
    for shape in ((2, 3), (3, 5, 7), (2, 9, 4, 4), (300, 13, 31)):
        for p in (0.1, 0.5, 1.0):
            x, dy = torch.randn(shape, dtype=dtype, requires_grad=True), torch.randn(shape, dtype=dtype)
            y = seeded(f, x, p, True)
            y.backward(dy)
            same(y.detach(), by_library(f, x, p))
            same(x.grad, by_library(f, dy, p, backward=True))
            same(seeded(f, x.detach(), p, True), y.detach())
            with Operators():
                same(seeded(f, x.detach(), p, True), y.detach())


@pytest.mark.parametrize("f", [bt.alpha_dropout, bt.feature_alpha_dropout])
def test_alpha_is_pytorchs_formula(f: Callable[..., Tensor]) -> None:
    """For x = 0 and x = 1, both return the same two values: a, b and d are equal. Mean and variance are kept."""
    theirs = {bt.alpha_dropout: F.alpha_dropout, bt.feature_alpha_dropout: F.feature_alpha_dropout}[f]
    for value in (0.0, 1.0):
        x = torch.full((400, 5), value, dtype=torch.float64)
        torch.testing.assert_close(f(x, 0.3, True).unique(), theirs(x, 0.3, True).unique(), rtol=1e-12, atol=1e-12)
    x = torch.randn(1000, 500)
    y = seeded(f, x, 0.3, True)
    assert abs(float(y.mean())) < 0.01
    assert abs(float(y.var()) - 1) < 0.01


def test_a_feature_is_kept_or_dropped_as_one() -> None:
    for shape in ((40, 50), (40, 50, 3), (20, 50, 2, 3), (20, 50, 2, 3, 2)):
        y = bt.feature_dropout(torch.ones(shape), 0.25).reshape(-1, math.prod(shape[2:]))
        assert (y == y[:, :1]).all()
        torch.testing.assert_close(y.unique(), torch.tensor([0, 4 / 3]))
        assert 0.6 < float((y[:, 0] != 0).float().mean()) < 0.9


def test_certain_dropout_makes_plus_0() -> None:
    for f in (bt.alpha_dropout, bt.feature_alpha_dropout, bt.feature_dropout):
        y = f(torch.tensor([[-1.0, math.inf, math.nan]]), 1.0, True)
        assert y.numpy().tobytes() == bytes(12)


@FUNCTIONS
def test_nothing_to_drop_returns_the_tensor_itself(f: Callable[..., Tensor]) -> None:
    x = torch.randn(2, 3)
    assert f(x, 0.0, True) is x
    assert f(x, 0.5, False, True) is x
    assert f(x[:0], 0.5, True).shape == (0, 3)
    default = {bt.alpha_dropout: F.alpha_dropout, bt.feature_alpha_dropout: F.feature_alpha_dropout}.get(f, F.dropout1d)
    assert (f(x, 1.0) == 0).all() == (default(x, 1.0) == 0).all()  # training= has the same default as in PyTorch


# ---- Memory.


@pytest.mark.parametrize("f", [bt.feature_dropout, bt.feature_alpha_dropout])
def test_channels_last(f: Callable[..., Tensor]) -> None:
    for shape, memory_format in (
        ((3, 10, 4, 5), torch.channels_last),
        ((2, 7, 2, 3, 4), torch.channels_last_3d),
        ((5, 1, 6, 6), torch.channels_last),
    ):
        x = torch.randn(shape).to(memory_format=memory_format)
        assert _kernels_2d._layout(x, 2) is not None  # nothing is copied
        y = seeded(f, x, 0.4, True)
        assert y.stride() == x.stride()
        same(y, seeded(f, x.contiguous(), 0.4, True))
    x = torch.randn(4, 6, 5).movedim(-1, 1)
    assert _kernels_2d._layout(x, 2) is not None
    same(seeded(f, x, 0.4, True), seeded(f, x.contiguous(), 0.4, True))


@FUNCTIONS
def test_strides(f: Callable[..., Tensor]) -> None:
    base = torch.randn(4, 5, 6, 8)
    for x in (base.transpose(0, 3), base[:, ::2, 1:], base[:1].expand(4, -1, -1, -1), base.permute(1, 0, 2, 3)):
        y = seeded(f, x, 0.4, True)
        assert y.stride() == torch.empty_like(x).stride()
        same(y, seeded(f, x.contiguous(), 0.4, True))


@FUNCTIONS
def test_threads_do_not_change_bytes(f: Callable[..., Tensor]) -> None:
    x = torch.randn(300, 40, 50)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            same(seeded(f, x, 0.1, True), by_library(f, x, 0.1))
    finally:
        torch.set_num_threads(before)


@FUNCTIONS
def test_inplace(f: Callable[..., Tensor]) -> None:
    leaf = torch.randn(6, 5, requires_grad=True)
    x = leaf * 1
    assert seeded(f, x, 0.5, True, True) is x
    same(x.detach(), seeded(f, leaf.detach(), 0.5, True))
    x.backward(torch.ones(6, 5))
    same(leaf.grad, by_library(f, torch.ones(6, 5), 0.5, backward=True))
    with pytest.raises(RuntimeError, match="clone"):
        f(torch.ones(1, 4).expand(3, 4), 0.5, True, True)


@FUNCTIONS
def test_a_seed_is_kept_and_a_second_backward_pass_refused(f: Callable[..., Tensor]) -> None:
    saved: list[int] = []

    def pack(t: Tensor) -> Tensor:
        saved.append(t.nbytes)
        return t

    x = torch.randn(100, 1000, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = f(x, 0.1, True)
    assert sum(saved) <= 8
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


# ---- Modules.

PAIRS = [
    (bt.AlphaDropout, nn.AlphaDropout),
    (bt.FeatureAlphaDropout, nn.FeatureAlphaDropout),
    (bt.Dropout1d, nn.Dropout1d),
    (bt.Dropout2d, nn.Dropout2d),
    (bt.Dropout3d, nn.Dropout3d),
]


def decisions(module: nn.Module, shape: tuple[int, ...]) -> Any:
    """The leading dimensions with one decision for each index, and the warnings; or the type of the error."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            y = seeded(module, torch.ones(shape))
        except Exception as error:
            return type(error)
    for dims in range(len(shape) + 1):
        rows = y.reshape(math.prod(shape[:dims]), -1)
        if (rows == rows[:, :1]).all():
            return dims, bool(seen)
    return None


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_modules_are_pytorchs_twins(ours: Any, theirs: Any) -> None:
    assert repr(ours(0.3, inplace=True)) == repr(theirs(0.3, inplace=True))
    assert isinstance(ours(), theirs)
    assert ours().state_dict() == {}
    for dims in range(1, 7):
        shape = (20, 20, 2, 2, 2, 2)[:dims]
        assert decisions(ours(0.5), shape) == decisions(theirs(0.5), shape)
        assert decisions(ours(0.5).eval(), shape) == decisions(theirs(0.5).eval(), shape)
    x = torch.randn(3, 4, 5)
    if ours is not bt.Dropout3d and ours is not bt.Dropout2d:
        module = ours(0.5, inplace=True)
        assert module(x) is x
        assert module.eval()(x) is x
    with pytest.raises(ValueError, match="probability"):
        ours(1.5)


def test_drop_path() -> None:
    x = torch.randn(64, 3, 4, 5)
    module = bt.DropPath(0.25)
    assert repr(module) == "DropPath(p=0.25, inplace=False)"
    y = seeded(module, x)
    want, _ = bitdrop.forward(x.reshape(64, -1).numpy(), 0.25, seed=seed_of_7(), unit="row")
    same(y, torch.from_numpy(want).reshape(x.shape))
    assert 30 < int((y != 0).flatten(1).any(1).sum()) < 64
    last = x.to(memory_format=torch.channels_last)
    assert _kernels_2d._layout(last, 1) is not None
    same(seeded(module, last), y)
    same(seeded(module, x[:, 0].transpose(1, 2)), y[:, 0].transpose(1, 2))
    assert module.eval()(x) is x
    assert bt.DropPath(0.5, inplace=True)(x) is x
    with pytest.raises(RuntimeError, match=r"bitdrop: feature_dropout needs at least 1"):
        bt.DropPath(0.5)(torch.tensor(1.0))


# ---- Transforms of PyTorch.


def test_opcheck() -> None:
    seed = torch.tensor(5)
    for x in (torch.randn(3, 7, requires_grad=True), torch.randn(2, 4, 3, requires_grad=True).movedim(-1, 1)):
        torch.library.opcheck(OPS.feature_dropout.default, (x, seed, 0.4, 2))
        torch.library.opcheck(OPS.alpha_dropout.default, (x, seed, 0.4, 0))
        torch.library.opcheck(OPS.alpha_dropout_backward.default, (x, seed, 0.4, 2))


def test_compile() -> None:
    torch._dynamo.reset()

    def f(x: Tensor) -> Tensor:
        y = bt.feature_dropout(bt.alpha_dropout(x, 0.3, True), 0.3)
        return bt.DropPath(0.2)(bt.feature_alpha_dropout(y, 0.3, True)).relu_()

    compiled = torch.compile(f, backend="aot_eager", fullgraph=True, dynamic=True)
    for shape in ((3, 8, 4, 4), (5, 16, 2, 4)):
        for x in (torch.randn(shape), torch.randn(shape).to(memory_format=torch.channels_last)):
            a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
            y, want = seeded(compiled, a), seeded(f, b)
            same(y, want)
            assert y.stride() == want.stride()
            y.sum().backward()
            want.sum().backward()
            same(a.grad, b.grad)


@FUNCTIONS
def test_vmap(f: Callable[..., Tensor]) -> None:
    x = torch.ones(5, 8, 8)
    same_mask = torch.func.vmap(lambda x: f(x, 0.5, True), randomness="same")(x)
    assert (same_mask == same_mask[0]).all()
    different = torch.func.vmap(lambda x: f(x, 0.5, True), randomness="different")(x)
    assert len({tuple(row.flatten().tolist()) for row in different}) == 5
    with pytest.raises(RuntimeError, match="randomness"):
        torch.func.vmap(lambda x: f(x, 0.5, True))(x)


@FUNCTIONS
def test_mode_sees_the_call(f: Callable[..., Tensor]) -> None:
    seen: list[Any] = []

    class Seen(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append((func, kwargs))
            return func(*args, **(kwargs or {}))

    x = torch.randn(4, 4)
    with Seen():
        y = seeded(f, x, 0.3, True)
    same(y, seeded(f, x, 0.3, True))
    assert (f, {"p": 0.3, "training": True, "inplace": False, "generator": None}) in seen


# ---- Wrong arguments.


@FUNCTIONS
def test_bad_input(f: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        f(torch.ones(3, 3), 1.1, True)
    with pytest.raises(TypeError, match=r"bitdrop: .*\.float\(\)"):
        f(torch.ones(3, 3, dtype=torch.int64), 0.5, True)
    with pytest.raises(TypeError, match=r"bitdrop: .*torch\.Tensor"):
        f([1.0], 0.5, True)  # type: ignore[arg-type]
    if f is not bt.alpha_dropout:
        with pytest.raises(RuntimeError, match=r"bitdrop: .* at least 2 dimensions.*unsqueeze"):
            f(torch.ones(3), 0.5, True)
