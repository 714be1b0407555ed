# SPDX-License-Identifier: Apache-2.0
"""The calls of the C library on rows and columns, as _kernels.py has the flat ones."""

import math
from typing import Any

import torch
from torch import Tensor

from .. import _library, _operations
from . import _kernels
from ._kernels import DTYPES

_EACH_ROW = 1
_ACTIVATIONS = _operations.ACTIVATIONS

_functions = {
    name: _kernels._unchecked(f"bitdrop_{name}")
    for name in (
        "forward_2d",
        "backward_2d",
        "forward_add",
        "forward_act",
        "backward_act",
        "forward_alpha",
        "backward_alpha",
    )
}


def _call(name: str, p: float, seed: int, shape: _library.Shape2D, y: Tensor, *arguments: Any) -> None:
    """Arguments are what follows the shape: addresses, of which the last is that of the mask, or None to remake it."""
    config = _library.Config(p, seed)
    if arguments[-1] is None:
        config.mask_use = _library.MASK_REMADE
    _held = _kernels.share_out(config, y) if y.numel() >= _kernels._SHARED else None
    function = _functions[name]
    status = function(config, DTYPES[y.dtype], shape, *arguments)
    if status:
        _library.raise_status(status, function, (config, DTYPES[y.dtype], shape))


# ---- Rows that are dropped as a whole, and alpha dropout.


def _layout(x: Tensor, dims: int) -> _library.Shape2D | None:
    """One decision for each index of the first dims dimensions, or for each element if dims is 0.

    None if x must first be copied to row-major order.
    """
    n = x.numel()
    if x.is_contiguous():
        if dims == 0:
            return _library.Shape2D(1, n)
        rows = math.prod(x.shape[:dims])
        return _library.Shape2D(rows, n // rows, unit=_EACH_ROW)
    if dims in (1, 2) and x.dim() > 2 and x.movedim(1, -1).is_contiguous():  # channels last
        rows, cols = x.shape[:2]
        if dims == 1:
            return _library.Shape2D(rows, n // rows, unit=_EACH_ROW)
        return _library.Shape2D(n // cols, cols, mask_repeat=n // (rows * cols))
    return None


def _rows(name: str, x: Tensor, seed: int, p: float, dims: int) -> Tensor:
    if x.numel() == 0:
        return torch.empty_like(x)
    shape = _layout(x, dims)
    if shape is None:
        return torch.empty_like(x).copy_(_rows(name, x.contiguous(), seed, p, dims))
    y = torch.empty_like(x)
    _call(name, p, seed, shape, y, x.data_ptr(), y.data_ptr(), None)
    return y


def feature_dropout(x: Tensor, seed: int, p: float, dims: int) -> Tensor:
    """Y, or dx of dy."""
    return _rows("forward_2d", x, seed, p, dims)


def alpha_dropout(x: Tensor, seed: int, p: float, dims: int) -> Tensor:
    """Y."""
    return _rows("forward_alpha", x, seed, p, dims)


def alpha_dropout_backward(dy: Tensor, seed: int, p: float, dims: int) -> Tensor:
    """Dx."""
    return _rows("backward_alpha", dy, seed, p, dims)
