# SPDX-License-Identifier: Apache-2.0
"""Nested tensors of both layouts. Functions are applied to the values of all their samples together."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def by_values(function: Callable[[Tensor], Tensor], x: Tensor, inplace: bool) -> Tensor:
    """Apply an elementwise function to a nested tensor. The result has the layout and the sizes of x."""
    values = function(x.values())
    if x.layout is torch.jagged:
        jagged: Any = x
        y = torch.nested.nested_tensor_from_jagged(
            values,
            jagged.offsets(),
            jagged.lengths(),
            jagged._ragged_idx,
            jagged._maybe_min_seqlen,
            jagged._maybe_max_seqlen,
        )
    else:
        places = (x._nested_tensor_size(), x._nested_tensor_strides(), x._nested_tensor_storage_offsets())
        y = torch._nested_view_from_buffer(values, *places)
    return x.copy_(y) if inplace else y
