# SPDX-License-Identifier: Apache-2.0
"""bitdrop's functions made of PyTorch's operators, for graphs that are saved and may run without bitdrop.

torch.jit.script compiles these functions instead of bitdrop's. torch.jit.trace and torch.onnx.export record them.
"""

from collections.abc import Callable
from typing import Any, Optional, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator, Tensor
from torch.compiler import is_dynamo_compiling

from ._eager import is_exporting

_Function = TypeVar("_Function", bound=Callable[..., Any])

_tracing = torch._C._is_tracing


def recording() -> bool:
    """True while torch.jit.trace or torch.onnx.export records calls."""
    return not is_dynamo_compiling() and (_tracing() or (is_exporting() and torch.onnx.is_in_onnx_export()))


def scripted_as(twin: Callable[..., Tensor]) -> Callable[[_Function], _Function]:
    """A decorator: torch.jit.script compiles twin instead of the decorated function."""

    def mark(function: _Function) -> _Function:
        function.__prepare_scriptable__ = lambda: twin  # type: ignore[attr-defined]
        return function

    return mark


# torch.jit.script supports neither keyword-only arguments with defaults nor X | None of Python 3.10.


def _refuse(generator: Optional[Generator]) -> None:  # noqa: UP045
    if generator is not None:
        raise NotImplementedError("bitdrop: PyTorch's dropout cannot draw from a generator: leave out generator=")


def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    recompute: bool = False,
    generator: Optional[Generator] = None,  # noqa: UP045
) -> Tensor:
    _refuse(generator)
    return F.dropout(input, p, training, inplace)


def alpha_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    generator: Optional[Generator] = None,  # noqa: UP045
) -> Tensor:
    _refuse(generator)
    return F.alpha_dropout(input, p, training, inplace)


def feature_alpha_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    generator: Optional[Generator] = None,  # noqa: UP045
) -> Tensor:
    _refuse(generator)
    return F.feature_alpha_dropout(input, p, training, inplace)


def feature_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: Optional[Generator] = None,  # noqa: UP045
) -> Tensor:
    _refuse(generator)
    return torch.feature_dropout_(input, p, training) if inplace else torch.feature_dropout(input, p, training)


def drop_leading(
    input: Tensor,
    p: float,
    training: bool,
    inplace: bool,
    dims: int,
    generator: Optional[Generator],  # noqa: UP045
) -> Tensor:
    _refuse(generator)
    x = input if dims == 2 else input.unsqueeze(0)
    y = torch.feature_dropout_(x, p, training) if inplace else torch.feature_dropout(x, p, training)
    return y if dims == 2 else y.squeeze(0)


def dropout_add(
    x: Tensor,
    residual: Tensor,
    p: float = 0.5,
    training: bool = True,
    bias: Optional[Tensor] = None,  # noqa: UP045
    generator: Optional[Generator] = None,  # noqa: UP045
) -> Tensor:
    _refuse(generator)
    return residual + F.dropout(x if bias is None else x + bias, p, training)


def activation_dropout(
    x: Tensor,
    p: float,
    activation: str,
    training: bool = True,
    bias: Optional[Tensor] = None,  # noqa: UP045
    generator: Optional[Generator] = None,  # noqa: UP045
) -> Tensor:
    _refuse(generator)
    y = x if bias is None else x + bias
    if activation == "relu":
        y = F.relu(y)
    elif activation == "silu":
        y = F.silu(y)
    else:
        y = F.gelu(y, approximate="tanh" if activation == "gelu_tanh" else "none")
    return F.dropout(y, p, training)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Optional[Tensor] = None,  # noqa: UP045
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: Optional[float] = None,  # noqa: UP045
    enable_gqa: bool = False,
    generator: Optional[Generator] = None,  # noqa: UP045
) -> Tensor:
    _refuse(generator)
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
    )


def variant(name: str, x: Tensor, p: float, inplace: bool, dims: int, generator: Generator | None) -> Tensor:
    """The function for an operator of _variants.py, called in training."""
    if name == "feature_dropout":
        return drop_leading(x, p, True, inplace, dims, generator)
    return (feature_alpha_dropout if dims else alpha_dropout)(x, p, True, inplace, generator)
