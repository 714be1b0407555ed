# SPDX-License-Identifier: Apache-2.0
"""Modules with the arguments of torch.nn's, and with generator=, from which they draw their seeds."""

import warnings

import torch
from torch import Tensor
from torch.nn.modules.dropout import _DropoutNd

from ._checks import check_activation, check_p
from ._dropout import dropout
from ._fused import activation_dropout, dropout_add
from ._variants import alpha_dropout, drop_leading, feature_alpha_dropout, feature_dropout

# With this as __module__ of an instance, torch.fx keeps calls of the module, as it does for torch.nn's modules.
# Otherwise it would trace into forward and freeze p and the mode: the traced model would drop after eval(), too.
LEAF = torch.nn.Dropout.__module__


class Drawing(_DropoutNd):
    """Base class of all modules: p, inplace and generator."""

    generator: torch.Generator | None

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: torch.Generator | None = None) -> None:
        check_p(p)
        super().__init__(p, inplace)
        self.__module__ = LEAF
        self.generator = generator

    def __prepare_scriptable__(self) -> "Drawing":
        """torch.jit.script calls this to get the module that it compiles."""
        if self.generator is not None:
            raise NotImplementedError(
                f"bitdrop: torch.jit.script cannot draw from a generator: set {type(self).__name__}.generator to None"
            )
        return self


class Dropout(Drawing, torch.nn.Dropout):
    """torch.nn.Dropout by bitdrop. With recompute=True, only a seed is kept for the backward pass."""

    recompute: bool

    def __init__(
        self,
        p: float = 0.5,
        inplace: bool = False,
        *,
        recompute: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(p, inplace, generator=generator)
        self.recompute = recompute

    def forward(self, input: Tensor) -> Tensor:
        """Dropout in training, input itself in evaluation."""
        return dropout(input, self.p, self.training, self.inplace, recompute=self.recompute, generator=self.generator)

    def extra_repr(self) -> str:
        """The text of torch.nn.Dropout, and recompute if it is True."""
        return super().extra_repr() + (", recompute=True" if self.recompute else "")


class AlphaDropout(Drawing, torch.nn.AlphaDropout):
    """torch.nn.AlphaDropout by bitdrop. inplace=True works in place, which torch.nn.AlphaDropout does not."""

    def forward(self, input: Tensor) -> Tensor:
        """Alpha dropout in training, input itself in evaluation."""
        return alpha_dropout(input, self.p, self.training, self.inplace, generator=self.generator)


class FeatureAlphaDropout(Drawing, torch.nn.FeatureAlphaDropout):
    """torch.nn.FeatureAlphaDropout by bitdrop. inplace=True works in place, which torch.nn's does not."""

    def forward(self, input: Tensor) -> Tensor:
        """Alpha dropout of each (n, c) of [N, C, ...] in training, input itself in evaluation."""
        return feature_alpha_dropout(input, self.p, self.training, self.inplace, generator=self.generator)


class Dropout1d(Drawing, torch.nn.Dropout1d):
    """torch.nn.Dropout1d by bitdrop."""

    def forward(self, input: Tensor) -> Tensor:
        """Dropout of the channels of [N, C, L] or [C, L] in training, input itself in evaluation."""
        if input.dim() not in (2, 3):
            raise RuntimeError(
                f"bitdrop: Dropout1d needs [N, C, L] or [C, L], and the tensor has {input.dim()} dimensions: "
                "use Dropout2d for 4, Dropout3d for 5, or feature_dropout for any number"
            )
        return drop_leading(input, self.p, self.training, self.inplace, input.dim() - 1, self.generator)


class Dropout2d(Drawing, torch.nn.Dropout2d):
    """torch.nn.Dropout2d by bitdrop."""

    def forward(self, input: Tensor) -> Tensor:
        """Dropout of the channels of [N, C, H, W] in training, input itself in evaluation.

        As in torch.nn.Dropout2d, three dimensions are [N, C, L], with a warning.
        """
        if input.dim() != 4:
            warnings.warn(
                f"bitdrop: Dropout2d expects [N, C, H, W]; the {input.dim()} dimensions of the tensor are treated as "
                "[N, C, ...], as by torch.nn.Dropout2d: call Dropout1d or feature_dropout",
                stacklevel=2,
            )
        return feature_dropout(input, self.p, self.training, self.inplace, generator=self.generator)


class Dropout3d(Drawing, torch.nn.Dropout3d):
    """torch.nn.Dropout3d by bitdrop."""

    def forward(self, input: Tensor) -> Tensor:
        """Dropout of the channels of [N, C, D, H, W] or [C, D, H, W] in training, input itself in evaluation."""
        if input.dim() not in (4, 5):
            warnings.warn(
                f"bitdrop: Dropout3d expects [N, C, D, H, W] or [C, D, H, W]; the {input.dim()} dimensions of the "
                "tensor are treated as [C, ...], as by torch.nn.Dropout3d: call feature_dropout",
                stacklevel=2,
            )
        dims = 2 if input.dim() == 5 else 1
        return drop_leading(input, self.p, self.training, self.inplace, dims, self.generator)


class DropPath(Drawing):
    """Drops whole samples (stochastic depth, Huang et al., 2016): one decision for each index of the first dimension.

    Kept samples are scaled by 1 / (1 - p). Use it at the end of a residual branch: x + DropPath(p)(branch(x)).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Samples of [N, ...] dropped in training, input itself in evaluation."""
        return drop_leading(input, self.p, self.training, self.inplace, 1, self.generator)


class DropoutAdd(Drawing):
    """residual + dropout(x + bias) in one pass over memory. In evaluation nothing is dropped."""

    def __init__(self, p: float = 0.5, *, generator: torch.Generator | None = None) -> None:
        super().__init__(p, generator=generator)

    def forward(self, x: Tensor, residual: Tensor, bias: Tensor | None = None) -> Tensor:
        """dropout_add of x and residual of the same shape, and of a bias with the shape of x's last dimension."""
        return dropout_add(x, residual, self.p, self.training, bias, generator=self.generator)

    def extra_repr(self) -> str:
        """The argument p."""
        return f"p={self.p}"


class ActivationDropout(Drawing):
    """dropout(act(x + bias)) in one pass over memory. In evaluation nothing is dropped.

    activation is "relu", "gelu", "gelu_tanh" or "silu".
    """

    def __init__(self, p: float = 0.5, activation: str = "relu", *, generator: torch.Generator | None = None) -> None:
        super().__init__(p, generator=generator)
        check_activation(activation)
        self.activation = activation

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """activation_dropout of x of any shape, and of a bias with the shape of x's last dimension."""
        return activation_dropout(x, self.p, self.activation, self.training, bias, generator=self.generator)

    def extra_repr(self) -> str:
        """The arguments p and activation."""
        return f"p={self.p}, activation={self.activation!r}"
