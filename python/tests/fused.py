# SPDX-License-Identifier: Apache-2.0
"""Inputs for the fused functions of bitdrop.torch, and seeded calls of them, for several tests."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from seeded import seeded
from torch import Tensor

import bitdrop.torch as bt

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
}
BIAS = pytest.mark.parametrize("with_bias", [False, True])


def operands(shape: tuple[int, ...], with_bias: bool, dtype: torch.dtype = torch.float32) -> list[Tensor | None]:
    """x, residual, bias or None, and dy."""
    x, residual, dy = (torch.randn(shape, dtype=dtype) for _ in range(3))
    return [x, residual, torch.randn(shape[-1], dtype=dtype) if with_bias else None, dy]


def leaf(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.detach().clone().requires_grad_()


def add(x: Tensor, residual: Tensor, bias: Tensor | None, p: float = 0.4, training: bool = True) -> Tensor:
    return seeded(bt.dropout_add, x, residual, p, training, bias)


def act(x: Tensor, activation: str, bias: Tensor | None, p: float = 0.4, training: bool = True) -> Tensor:
    return seeded(bt.activation_dropout, x, p, activation, training, bias)
