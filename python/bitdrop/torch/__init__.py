# SPDX-License-Identifier: Apache-2.0
"""Dropout for PyTorch on the CPU: drop-ins that keep one bit an element for the backward pass, or nothing.

``dropout`` and ``Dropout`` take the places of ``torch.nn.functional.dropout`` and ``torch.nn.Dropout``;
``patch`` swaps the modules of a model that is there already. Every call draws a seed from PyTorch's default
generator, so ``torch.manual_seed`` and activation checkpointing reproduce masks. The mask is a function of that
seed, p and an element's place in row-major order: not of strides or threads. (Code that torch.compile makes has a
generator of its own, unless torch._inductor.config.fallback_random is set.)

There are two ways to the same kernels. ``bitdrop::*`` are custom operators, which torch.compile, torch.func and
tensor subclasses see. A plain tensor in eager mode, where an operator's Python dispatch costs more than
1,024 elements do, takes an ``autograd.Function`` that calls the same code.
"""

from ..errors import MissingPackageError

try:
    from torch.compiler import is_compiling, is_dynamo_compiling  # noqa: F401 (what an old one lacks)
except ImportError as error:
    raise MissingPackageError(f"bitdrop.torch needs PyTorch 2.7 or newer ({error}): pip install torch") from error

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
