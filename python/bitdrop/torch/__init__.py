# SPDX-License-Identifier: Apache-2.0
"""Dropout for PyTorch on the CPU, which keeps one bit for each element for the backward pass, or nothing.

``enable()`` makes the whole process use bitdrop's dropout. ``python -m bitdrop.torch script.py`` does the same for a
script without changing it. ``report(step)`` lists the dropouts that ran in a step, and whether bitdrop or PyTorch ran
them. ``patch(model)`` replaces the dropout modules of one model. The other names are functions and modules for people
who write a model. They have the arguments of PyTorch's, or fuse dropout with an operation next to it. docs/pytorch.md
is the guide.

Each call draws one seed from PyTorch's default generator, so ``torch.manual_seed`` and activation checkpointing
reproduce masks. The mask is a function of that seed, of p and of an element's place in row-major order. It does not
depend on strides or threads. (Code that torch.compile generates draws other seeds, unless
torch._inductor.config.fallback_random is set.)

Calls reach the kernels in two ways. torch.compile, torch.func and tensor subclasses see the custom operators
``bitdrop::*``. For a plain tensor in eager mode, an ``autograd.Function`` calls the same kernels, because the Python
dispatch of an operator takes longer than dropout of 1,024 elements.
"""

from ..errors import MissingPackageError

try:
    from torch.compiler import is_exporting  # noqa: F401 (new in 2.7)
except ImportError as error:
    raise MissingPackageError(
        f"bitdrop.torch needs PyTorch 2.7 or newer ({error}): pip install --upgrade torch"
    ) from error

from ._attention import scaled_dot_product_attention
from ._dropout import dropout
from ._fused import activation_dropout, dropout_add
from ._modules import (
    ActivationDropout,
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    DropoutAdd,
    DropPath,
    FeatureAlphaDropout,
)
from ._patch import Patched, patch, unpatch
from ._report import Report, Row, report
from ._switch import disable, enable, is_enabled
from ._variants import alpha_dropout, feature_alpha_dropout, feature_dropout

__all__ = [
    "ActivationDropout",
    "AlphaDropout",
    "DropPath",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "DropoutAdd",
    "FeatureAlphaDropout",
    "Patched",
    "Report",
    "Row",
    "activation_dropout",
    "alpha_dropout",
    "disable",
    "dropout",
    "dropout_add",
    "enable",
    "feature_alpha_dropout",
    "feature_dropout",
    "is_enabled",
    "patch",
    "report",
    "scaled_dot_product_attention",
    "unpatch",
]
