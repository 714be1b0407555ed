# SPDX-License-Identifier: Apache-2.0
"""generator= of all functions and modules: what is drawn from it, and where it is refused."""

import copy
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from seeded import Operators, compiled_autograd, same, seeded
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import bitdrop.torch as bt

RESIDUAL, BIAS = torch.randn(50, 40), torch.randn(40)
FUNCTIONS: dict[str, Callable[..., Tensor]] = {  # functions of x [50, 40]
    "dropout": lambda x, **k: bt.dropout(x, 0.5, **k),
    "dropout, recompute": lambda x, **k: bt.dropout(x, 0.5, recompute=True, **k),
    "alpha_dropout": lambda x, **k: bt.alpha_dropout(x, 0.5, True, **k),
    "feature_alpha_dropout": lambda x, **k: bt.feature_alpha_dropout(x, 0.5, True, **k),
    "feature_dropout": lambda x, **k: bt.feature_dropout(x, 0.5, **k),
    "dropout_add": lambda x, **k: bt.dropout_add(x, RESIDUAL, 0.5, bias=BIAS, **k),
    "activation_dropout": lambda x, **k: bt.activation_dropout(x, 0.5, "silu", bias=BIAS, **k),
    "attention": lambda x, **k: bt.scaled_dot_product_attention(x, x, x, dropout_p=0.5, **k),
}
EVERY = pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)


@EVERY
def test_generator(f: Callable[..., Tensor]) -> None:
    x = torch.randn(50, 40, requires_grad=True)
    generator, state = torch.Generator().manual_seed(7), torch.get_rng_state()
    y = f(x, generator=generator)
    assert torch.equal(torch.get_rng_state(), state)
    same(y, seeded(f, x))  # the default generator with the same seed
    assert not torch.equal(f(x, generator=generator), y)
    with Operators():
        same(f(x.detach(), generator=generator.manual_seed(7)), y.detach())
    with pytest.raises(TypeError, match=r"bitdrop: generator must be a torch\.Generator"):
        f(x, generator=7)


def test_generator_of_a_module() -> None:
    for kind in (bt.Dropout, bt.AlphaDropout, bt.FeatureAlphaDropout, bt.Dropout1d, bt.DropPath):
        x, generator = torch.randn(8, 8, 8), torch.Generator().manual_seed(7)
        module = kind(0.5, generator=generator)
        twin = copy.deepcopy(module)
        same(module(x), seeded(kind(0.5), x))
        same(twin(x), seeded(kind(0.5), x))


def test_compile() -> None:
    """The graph breaks, and the same seed is drawn from the generator as without torch.compile."""
    generator, x = torch.Generator(), torch.randn(30, 20)
    functions = (
        lambda x: bt.dropout(x * 1, 0.3, generator=generator) + 1,
        lambda x: bt.alpha_dropout(x * 1, 0.3, True, generator=generator) + 1,
    )
    for f in functions:
        torch._dynamo.reset()
        compiled = torch.compile(f, backend="aot_eager")
        for seed in (3, 4):
            generator.manual_seed(seed)
            y = compiled(x)
            generator.manual_seed(seed)
            same(y, f(x))
        torch._dynamo.reset()
        with pytest.raises(torch._dynamo.exc.Unsupported, match="cannot trace bitdrop with generator="):
            torch.compile(f, backend="aot_eager", fullgraph=True)(x)


# ---- Checkpoints. They restore the default generator and no other.

REFUSED = r"bitdrop: activation checkpointing .* leave out generator="


@EVERY
def test_checkpoint_is_refused(f: Callable[..., Tensor]) -> None:
    generator = torch.Generator()
    for use_reentrant in (False, True):
        for repeated in (f, torch.compile(f, backend="eager")):
            x = torch.randn(50, 40, requires_grad=True)
            y = checkpoint(lambda x, g=repeated: g(x.sin(), generator=generator).sin(), x, use_reentrant=use_reentrant)
            with pytest.raises(RuntimeError, match=REFUSED):
                y.sum().backward()


def test_compiled_checkpoints_are_refused() -> None:
    torch._dynamo.reset()
    generator, x = torch.Generator(), torch.ones(64, requires_grad=True)

    def f(x: Tensor) -> Tensor:
        return checkpoint(lambda x: bt.dropout(x * 2, generator=generator).sin(), x, use_reentrant=False)

    y = torch.compile(f, backend="aot_eager")(x)
    with pytest.raises(RuntimeError, match=REFUSED):
        y.sum().backward()
    for use_reentrant in (False, True):
        y = checkpoint(lambda x: bt.dropout(x * 2, generator=generator).sin(), x, use_reentrant=use_reentrant)
        with compiled_autograd(torch.compile(backend="aot_eager")), pytest.raises(RuntimeError, match=REFUSED):
            y.sum().backward()


def test_checkpoint_without_a_draw() -> None:
    """If nothing is dropped, a generator is accepted."""
    generator = torch.Generator()
    for f in (
        lambda x: bt.Dropout(generator=generator).eval()(x),
        lambda x: bt.DropoutAdd(generator=generator).eval()(x, x),
        lambda x: bt.activation_dropout(x, 0.0, "silu", generator=generator),
        lambda x: bt.scaled_dot_product_attention(x, x, x, generator=generator),
    ):
        x = torch.randn(5, 4, requires_grad=True)
        checkpoint(lambda x, f=f: f(x).sin(), x, use_reentrant=False).sum().backward()
        (want,) = torch.autograd.grad(f(x).sin().sum(), x)
        same(x.grad, want)


@EVERY
def test_other_backward_passes_are_not_refused(f: Callable[..., Tensor]) -> None:
    generator, x = torch.Generator(), torch.randn(50, 40, requires_grad=True)
    y = f(x, generator=generator)
    (gradient,) = torch.autograd.grad((y**2).sum(), x, create_graph=True)
    gradient.sum().backward()
    torch.func.grad(torch.func.grad(lambda s: (f(s * x.detach(), generator=generator) ** 2).sum()))(torch.tensor(3.0))
    z = torch.ones(50, 40, requires_grad=True)
    z.register_hook(lambda dz: bt.dropout(dz, 0.5, generator=generator))
    (z * 2).sum().backward()
    assert set(z.grad.unique().tolist()) == {0.0, 4.0}
