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
ACTIVATIONS = _operations.ACTIVATIONS

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
    if y.numel() >= _kernels._SHARED:
        config.stores = _kernels._stores(y)
        _alive = _kernels.share(config)
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


# ---- Fused calls. Without a bias, a tensor is one row. With one, it has a row for each index but the last dimension's.


def _matrix(x: Tensor, bias: Tensor | None) -> tuple[int, int]:
    if bias is None or x.dim() == 0:
        return 1, x.numel()
    return math.prod(x.shape[:-1]), x.shape[-1]


def mask_shape(x: Tensor, bias: Tensor | None) -> tuple[int, int]:
    """Rows and bytes of the mask of x."""
    rows, cols = _matrix(x, bias)
    return rows, (cols + 7) // 8


def new_mask(x: Tensor, bias: Tensor | None) -> Tensor:
    """Room for the mask of x."""
    return x.new_empty(mask_shape(x, bias), dtype=torch.uint8)


def _address(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def _fused(
    name: str, x: Tensor, bias: Tensor | None, seed: int, p: float, keep: bool, *others: Any, code: tuple[int, ...] = ()
) -> tuple[Tensor, Tensor | None]:
    """A forward call: y and the mask, or None in its place unless keep is True."""
    given, x = x, x.contiguous()
    bias = None if bias is None else bias.contiguous()
    others = tuple(other.contiguous() for other in others)
    y, mask = torch.empty_like(x), new_mask(x, bias) if keep else None
    shape = _library.Shape2D(*_matrix(x, bias))
    inputs = (x.data_ptr(), _address(bias), *map(_address, others))
    _call(name, p, seed, shape, y, *code, *inputs, y.data_ptr(), _address(mask))
    return y if given is x else torch.empty_like(given).copy_(y), mask


def dropout_add(
    x: Tensor, residual: Tensor, bias: Tensor | None, seed: int, p: float, keep: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Y and the mask."""
    return _fused("forward_add", x, bias, seed, p, keep, residual)


def activation_dropout(
    x: Tensor, bias: Tensor | None, seed: int, p: float, activation: str, keep: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Y and the mask, which for relu has a one where x + bias is both kept and positive."""
    return _fused("forward_act", x, bias, seed, p, keep, code=(ACTIVATIONS[activation],))


def activation_dropout_backward(
    dy: Tensor, mask: Tensor, x: Tensor, bias: Tensor | None, p: float, activation: str
) -> Tensor:
    """Dx."""
    given, dy, x = dy, dy.contiguous(), x.contiguous()
    bias = None if bias is None else bias.contiguous()
    dx = torch.empty_like(dy)
    shape = _library.Shape2D(*_matrix(x, bias))
    inputs = (dy.data_ptr(), x.data_ptr(), _address(bias))
    _call("backward_act", p, 0, shape, dx, ACTIVATIONS[activation], *inputs, dx.data_ptr(), mask.data_ptr())
    return dx if given is dy else torch.empty_like(given).copy_(dx)


def dropout_backward(dy: Tensor, mask: Tensor, p: float) -> Tensor:
    """Dx of dropout by a mask that is flat, or has rows."""
    if mask.dim() == 1 or len(mask) <= 1 or dy.numel() % (8 * len(mask)) == 0:  # no bits lie between rows
        return _kernels.backward(dy, mask, p)
    given, dy = dy, dy.contiguous()
    dx = torch.empty_like(dy)
    shape = _library.Shape2D(len(mask), dy.numel() // len(mask))
    _call("backward_2d", p, 0, shape, dx, dy.data_ptr(), dx.data_ptr(), mask.data_ptr())
    return dx if given is dy else torch.empty_like(given).copy_(dx)
