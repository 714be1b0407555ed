# SPDX-License-Identifier: Apache-2.0
"""Calls of the C library on rows and columns of tensors. _kernels.py has the flat ones."""

import math
from typing import Any

import torch
from torch import Tensor

from .. import _library, _operations
from . import _kernels
from ._kernels import DTYPES

_EACH_ROW = 1
ACTIVATIONS = _operations.ACTIVATIONS

_functions = {
    name: _kernels.unchecked(f"bitdrop_{name}")
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


def _call_2d(name: str, p: float, seed: int, shape: _library.Shape2D, y: Tensor, *arguments: Any) -> None:
    """Call a function. arguments follow the shape: the last is the mask's address, or None to make its bits again."""
    config = _library.Config(p, seed)
    if arguments[-1] is None:
        config.mask_use = _library.MASK_REMADE
    if y.numel() >= _kernels.SHARED:
        config.stores = _kernels.choose_stores(y)
        _alive = _kernels.share(config)
    function = _functions[name]
    status = function(config, DTYPES[y.dtype], shape, *arguments)
    if status:
        _library.raise_status(status, function, (config, DTYPES[y.dtype], shape))


# ---- Dropout of whole rows, and alpha dropout.


def _layout(x: Tensor, dims: int) -> _library.Shape2D | None:
    """Rows and columns of x. There is one decision for each index of the first dims dimensions.

    If dims is 0, there is one decision for each element. None if x must first be copied to row-major order.
    """
    n = x.numel()
    if x.is_contiguous():
        if dims == 0:
            return _library.Shape2D(1, n)
        rows = math.prod(x.shape[:dims])
        # With one element in each row, both forms give the same indices.
        return _library.Shape2D(1, n) if rows == n else _library.Shape2D(rows, n // rows, unit=_EACH_ROW)
    if dims in (1, 2) and x.dim() > 2 and x.movedim(1, -1).is_contiguous():  # channels last
        rows, cols = x.shape[:2]
        if dims == 1:
            return _library.Shape2D(rows, n // rows, unit=_EACH_ROW)
        return _library.Shape2D(n // cols, cols, mask_repeat=n // (rows * cols))
    return None


def _drop_rows(name: str, x: Tensor, seed: int, p: float, dims: int) -> Tensor:
    if x.numel() == 0:
        return torch.empty_like(x)
    shape = _layout(x, dims)
    if shape is None:
        return torch.empty_like(x).copy_(_drop_rows(name, x.contiguous(), seed, p, dims))
    y = torch.empty_like(x)
    _call_2d(name, p, seed, shape, y, x.data_ptr(), y.data_ptr(), None)
    return y


def feature_dropout(x: Tensor, seed: int, p: float, dims: int) -> Tensor:
    """The result. If x is dy, this is the gradient."""
    return _drop_rows("forward_2d", x, seed, p, dims)


def alpha_dropout(x: Tensor, seed: int, p: float, dims: int) -> Tensor:
    """The result."""
    return _drop_rows("forward_alpha", x, seed, p, dims)


def alpha_dropout_backward(dy: Tensor, seed: int, p: float, dims: int) -> Tensor:
    """The gradient of x."""
    return _drop_rows("backward_alpha", dy, seed, p, dims)


# ---- Fused calls. Without a bias, a tensor is one row. With a bias, its last dimension is the columns.


def _matrix(x: Tensor, bias: Tensor | None) -> tuple[int, int]:
    if bias is None or x.dim() == 0:
        return 1, x.numel()
    return math.prod(x.shape[:-1]), x.shape[-1]


def mask_shape(x: Tensor, bias: Tensor | None) -> tuple[int, int]:
    """The shape of the mask of x: rows, and bytes in a row."""
    rows, cols = _matrix(x, bias)
    return rows, (cols + 7) // 8


def new_mask(x: Tensor, bias: Tensor | None) -> Tensor:
    """A new tensor for the mask of x."""
    return x.new_empty(mask_shape(x, bias), dtype=torch.uint8)


def _forward(
    name: str, code: tuple[int, ...], x: Tensor, bias: Tensor | None, others: tuple[Tensor, ...], seed: int, p: float,
    keep: bool,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """A forward call on contiguous tensors: y, and the mask if keep is True, else None."""
    rows, cols = _matrix(x, bias)
    y = torch.empty_like(x)
    mask = x.new_empty((rows, (cols + 7) // 8), dtype=torch.uint8) if keep else None
    inputs = [x.data_ptr(), None if bias is None else bias.data_ptr(), *[other.data_ptr() for other in others]]
    address = None if mask is None else mask.data_ptr()
    _call_2d(name, p, seed, _library.Shape2D(rows, cols), y, *code, *inputs, y.data_ptr(), address)
    return y, mask


def _dense(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.contiguous()


def dropout_add(
    x: Tensor, residual: Tensor, bias: Tensor | None, seed: int, p: float, keep: bool = True
) -> tuple[Tensor, Tensor | None]:
    """The result and the mask."""
    if not x.is_contiguous():
        y, mask = dropout_add(x.contiguous(), residual, bias, seed, p, keep)
        return torch.empty_like(x).copy_(y), mask
    return _forward("forward_add", (), x, _dense(bias), (residual.contiguous(),), seed, p, keep)


def activation_dropout(
    x: Tensor, bias: Tensor | None, seed: int, p: float, activation: str, keep: bool = True
) -> tuple[Tensor, Tensor | None]:
    """The result and the mask, which for relu has a one where x + bias is both kept and positive."""
    if not x.is_contiguous():
        y, mask = activation_dropout(x.contiguous(), bias, seed, p, activation, keep)
        return torch.empty_like(x).copy_(y), mask
    return _forward("forward_act", (ACTIVATIONS[activation],), x, _dense(bias), (), seed, p, keep)


def activation_dropout_backward(
    dy: Tensor, mask: Tensor, x: Tensor, bias: Tensor | None, p: float, activation: str
) -> Tensor:
    """The gradient of x."""
    if not dy.is_contiguous():
        dx = activation_dropout_backward(dy.contiguous(), mask, x, bias, p, activation)
        return torch.empty_like(dy).copy_(dx)
    x, bias = x.contiguous(), _dense(bias)
    dx = torch.empty_like(dy)
    inputs = (dy.data_ptr(), x.data_ptr(), None if bias is None else bias.data_ptr())
    shape = _library.Shape2D(*_matrix(x, bias))
    _call_2d("backward_act", p, 0, shape, dx, ACTIVATIONS[activation], *inputs, dx.data_ptr(), mask.data_ptr())
    return dx


def dropout_backward(dy: Tensor, mask: Tensor, p: float) -> Tensor:
    """The gradient of x from a mask that is flat or by rows."""
    rows, n = mask.shape[0] if mask.dim() == 2 else 1, dy.numel()
    if rows <= 1 or n % (8 * rows) == 0:  # the mask has no unused bits between rows
        return _kernels.backward(dy, mask, p)
    if not dy.is_contiguous():
        return torch.empty_like(dy).copy_(dropout_backward(dy.contiguous(), mask, p))
    dx = torch.empty_like(dy)
    _call_2d("backward_2d", p, 0, _library.Shape2D(rows, n // rows), dx, dy.data_ptr(), dx.data_ptr(), mask.data_ptr())
    return dx
