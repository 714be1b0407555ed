# SPDX-License-Identifier: Apache-2.0
"""Small inputs for the tests of attention in bitdrop.torch."""

import torch
from torch import Tensor

P = 0.3


def inputs(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return [torch.randn(shape).to(dtype).requires_grad_() for shape in shapes]


def alike(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Three small tensors of the same shape."""
    return inputs(*[(2, 4, 6, 8)] * 3, dtype=dtype)


def by_rows(x: Tensor) -> Tensor:
    """The same values and shape. The order of dimensions in memory is [batch, rows, heads, elements]."""
    return x.detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()


def rows_first(x: Tensor) -> Tensor:
    """The same values and shape in the memory order of nn.MultiheadAttention: [rows, batch, heads, elements]."""
    return x.detach().permute(2, 0, 1, 3).contiguous().permute(1, 2, 0, 3).requires_grad_()
