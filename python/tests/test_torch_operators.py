# SPDX-License-Identifier: Apache-2.0
"""The checks of the operators bitdrop::* when they are called directly."""

import itertools
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from seeded import OPS
from torch import Tensor


def test_operators_check_seed_and_mask() -> None:
    x = torch.ones(16)
    for seed in (torch.tensor(1.0), torch.tensor([1, 2])):
        with pytest.raises(TypeError, match="one int64"):
            OPS.dropout(x, seed, 0.5)
    for mask in (
        torch.zeros(1, dtype=torch.uint8),
        torch.zeros(2, dtype=torch.bool),
        torch.zeros(4, dtype=torch.uint8)[::2],
        torch.zeros((), dtype=torch.uint8),
        torch.zeros(1, 1, 2, dtype=torch.uint8),
    ):
        with pytest.raises(ValueError, match="contiguous uint8"):
            OPS.dropout_backward(x, mask, 0.5)


def test_operators_check_what_they_read() -> None:
    x, bias, seed = torch.ones(4, 3), torch.ones(3), torch.tensor(1)
    mask = OPS.activation_dropout(x, bias, seed, 0.5, "gelu")[1]
    for residual, b in ((x[:3], bias), (x.double(), bias), (x, bias[:2]), (x, bias.double()), (x, x)):
        with pytest.raises(ValueError, match=r"bitdrop: (residual|bias) must be"):
            OPS.dropout_add(x, residual, b, seed, 0.5)
    with pytest.raises(ValueError, match="bitdrop: x must be"):
        OPS.activation_dropout_backward(x, mask, x[:2], bias, 0.5, "gelu")
    with pytest.raises(ValueError, match="with or without a bias"):
        OPS.activation_dropout_backward(x, mask, x, None, 0.5, "gelu")
    with pytest.raises(ValueError, match="activation"):
        OPS.activation_dropout(x, bias, seed, 0.5, "tanh")
    for wrong in (mask.repeat(2, 1)[:5], mask.flatten(), mask.repeat(1, 2), mask.to(torch.int8)):
        with pytest.raises(ValueError, match="contiguous uint8"):
            OPS.dropout_backward(x, wrong, 0.5)


def test_operators_check_dims() -> None:
    for dims in (-1, 3):
        with pytest.raises(ValueError, match=r"bitdrop: dims must lie in \[0, 2\]"):
            OPS.feature_dropout(torch.ones(2, 3), torch.tensor(1), 0.5, dims)


# ---- Devices.

X, BIAS, SEED = torch.ones(4, 3), torch.ones(3), torch.tensor(1)
MASK = torch.zeros(4, 1, dtype=torch.uint8)
Q, LSE = torch.ones(1, 2, 4, 3), torch.zeros(1, 2, 4)
CALLS: dict[str, tuple[Any, ...]] = {
    "seed": (),
    "dropout": (X, SEED, 0.5),
    "dropout_backward": (X, MASK, 0.5),
    "dropout_recompute": (X, SEED, 0.5),
    "feature_dropout": (X, SEED, 0.5, 1),
    "alpha_dropout": (X, SEED, 0.5, 0),
    "alpha_dropout_backward": (X, SEED, 0.5, 0),
    "dropout_add": (X, X, BIAS, SEED, 0.5),
    "activation_dropout": (X, BIAS, SEED, 0.5, "gelu"),
    "activation_dropout_backward": (X, MASK, X, BIAS, 0.5, "gelu"),
    "attention": (Q, Q, Q, Q[..., :1], SEED, 0.5, False, None),
    "attention_backward": (Q, Q, Q, Q, Q[..., :1], Q, LSE, SEED, 0.5, False, None),
}


def test_all_operators_are_here() -> None:
    defined = {name.removeprefix("bitdrop::") for name in torch._C._dispatch_get_all_op_names() if "bitdrop::" in name}
    assert defined - {"no_tangent"} == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_tensors_of_two_devices(name: str) -> None:
    """Tensors on the CPU and on meta in one call: the kernel of meta must not run, because it writes nothing."""
    arguments = CALLS[name]
    places = [i for i, argument in enumerate(arguments) if isinstance(argument, Tensor)]
    seeds = [i for i in places if arguments[i] is SEED]
    for devices in itertools.product(("cpu", "meta"), repeat=len(places)):
        on = dict(zip(places, devices, strict=True))
        moved = [argument.to(on[i]) if i in on else argument for i, argument in enumerate(arguments)]
        others = {device for i, device in on.items() if i not in seeds}
        if "meta" in devices and others != {"meta"}:
            with pytest.raises(ValueError, match=r"bitdrop: \w+ is on cpu, and another .* on meta: move it"):
                getattr(OPS, name)(*moved)
        else:
            outputs = torch.utils._pytree.tree_leaves(getattr(OPS, name)(*moved))
            assert {y.device.type for y in outputs} == (others or {"cpu"})
