# SPDX-License-Identifier: Apache-2.0
"""Modules with the arguments of torch.nn's."""

import torch
from torch import Tensor

from ._dropout import dropout


class Dropout(torch.nn.Dropout):
    """torch.nn.Dropout by bitdrop; recompute=True keeps nothing for the backward pass."""

    recompute: bool = False  # of the class, so that a module that patch() turned into this one has it

    def __init__(self, p: float = 0.5, inplace: bool = False, *, recompute: bool = False) -> None:
        super().__init__(p, inplace)
        self.recompute = recompute

    def forward(self, input: Tensor) -> Tensor:
        """Dropout in training, input itself in evaluation."""
        return dropout(input, self.p, self.training, self.inplace, recompute=self.recompute)

    def extra_repr(self) -> str:
        """As torch.nn.Dropout's, and recompute where it is set."""
        return super().extra_repr() + (", recompute=True" if self.recompute else "")
