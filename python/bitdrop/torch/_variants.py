# SPDX-License-Identifier: Apache-2.0
"""Alpha dropout, and dropout of whole features or samples."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.compiler import is_compiling
from torch.overrides import handle_torch_function, has_torch_function_unary

from . import _kernels_2d, _operators, _stock
from ._checks import check, check_generator, check_p
from ._dropout import check_inplace
from ._eager import draw_seed, is_eager, is_grad_enabled
from ._nested import by_values
from ._operators import Diagonal, define, like_fake, traced_seed

# ---- Operators. There is one decision for each index of the first dims dimensions, or for each element if dims is 0.

define(
    "feature_dropout(Tensor x, Tensor seed, float p, int dims) -> Tensor",
    _kernels_2d.feature_dropout,
    like_fake,
    Diagonal("feature_dropout"),
)
define(
    "alpha_dropout(Tensor x, Tensor seed, float p, int dims) -> Tensor",
    _kernels_2d.alpha_dropout,
    like_fake,
    Diagonal("alpha_dropout_backward"),
)
define(
    "alpha_dropout_backward(Tensor dy, Tensor seed, float p, int dims) -> Tensor",
    _kernels_2d.alpha_dropout_backward,
    like_fake,
    Diagonal("alpha_dropout_backward"),
)


def _drop(
    name: str, x: Tensor, p: float, training: bool, inplace: bool, dims: int, generator: torch.Generator | None
) -> Tensor:
    """Call one of these operators, or its kernel if that is possible, with the arguments of the functions below."""
    if not isinstance(x, Tensor):
        raise TypeError(f"bitdrop: input must be a torch.Tensor, and is {type(x).__name__}")
    check_p(p)
    if not training or p == 0.0:
        return x
    eager = forward_ad._current_level < 0 and is_eager(x)
    if not eager and dims == 0 and x.is_nested:
        return by_values(lambda values: _drop(name, values, p, True, False, 0, generator), x, inplace)
    if (eager or not is_compiling()) and x.numel() == 0:
        return x
    if not eager and _stock.recording():
        return _stock.variant(name, x, p, inplace, dims, generator)
    if generator is not None:
        check_generator(generator)
    if x.dim() < dims:
        raise RuntimeError(
            f"bitdrop: {name} needs at least {dims} dimensions, and the tensor has {x.dim()}: "
            ".unsqueeze(0) adds one in front"
        )
    if inplace:
        check_inplace(x)
    y: Tensor
    if not eager:
        check(x)
        y = getattr(torch.ops.bitdrop, name)(x, traced_seed(generator), float(p), dims)
    elif x.requires_grad and is_grad_enabled():
        y = _operators.eager[name](x, draw_seed(generator), float(p), dims)
    else:
        y = _operators.kernels[name](x, draw_seed(generator), float(p), dims)
    return x.copy_(y) if inplace else y


# ---- Functions.


@_stock.scripted_as(_stock.alpha_dropout)
def alpha_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """torch.nn.functional.alpha_dropout with the same arguments. As in PyTorch, training is False by default.

    input of mean 0 and variance 1 keeps its mean and variance, which SELU networks need (Klambauer et al., 2017). Kept
    elements become a * input + b, and dropped elements become the constant d. docs/reference.md defines a, b and d,
    which are the same as PyTorch's. At p = 1 all elements become +0 (PyTorch makes -0 of negative elements, and NaN of
    infinities). Only a seed is kept for the backward pass. The docstring of dropout describes p, dtypes, strides,
    generator and errors.
    """
    if has_torch_function_unary(input):
        return _overridden(alpha_dropout, input, p, training, inplace, generator)
    return _drop("alpha_dropout", input, p, training, inplace, 0, generator)


@_stock.scripted_as(_stock.feature_alpha_dropout)
def feature_alpha_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """alpha_dropout of whole features: input is [N, C, ...], and each (n, c) is kept or dropped as a whole.

    As in torch.nn.functional.feature_alpha_dropout, nothing is dropped unless training is True. Also raises
    RuntimeError if input has fewer than two dimensions.
    """
    if has_torch_function_unary(input):
        return _overridden(feature_alpha_dropout, input, p, training, inplace, generator)
    return _drop("alpha_dropout", input, p, training, inplace, 2, generator)


@_stock.scripted_as(_stock.feature_dropout)
def feature_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Dropout of whole features: input is [N, C, ...], and each (n, c) is kept or dropped as a whole.

    dropout1d, dropout2d and dropout3d of torch.nn.functional do the same. A channels-last tensor is not copied, and has
    the same mask as in row-major order. Only a seed is kept for the backward pass. The docstring of dropout describes
    p, dtypes, strides, generator and errors. Also raises RuntimeError if input has fewer than two dimensions.
    """
    if has_torch_function_unary(input):
        return _overridden(feature_dropout, input, p, training, inplace, generator)
    return _drop("feature_dropout", input, p, training, inplace, 2, generator)


@_stock.scripted_as(_stock.drop_leading)
def drop_leading(
    input: Tensor, p: float, training: bool, inplace: bool, dims: int, generator: torch.Generator | None
) -> Tensor:
    """feature_dropout with one decision for each index of the first dims dimensions."""
    if has_torch_function_unary(input):
        keywords: dict[str, Any] = {
            "p": p,
            "training": training,
            "inplace": inplace,
            "dims": dims,
            "generator": generator,
        }
        return handle_torch_function(drop_leading, (input,), input, **keywords)
    return _drop("feature_dropout", input, p, training, inplace, dims, generator)


def _overridden(function: Callable[..., Tensor], input: Tensor, *arguments: Any) -> Tensor:
    keywords = dict(zip(("p", "training", "inplace", "generator"), arguments, strict=True))
    return handle_torch_function(function, (input,), input, **keywords)
