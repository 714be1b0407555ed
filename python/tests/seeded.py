# SPDX-License-Identifier: Apache-2.0
"""Helpers of the tests of bitdrop.torch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

try:
    from torch._dynamo.compiled_autograd import _enable as compiled_autograd
except ImportError:
    from torch._dynamo.compiled_autograd import enable as compiled_autograd  # noqa: F401 (PyTorch 2.5)

MODES = pytest.mark.parametrize("recompute", [False, True])
OPS = torch.ops.bitdrop


def same(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


def seeded(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    torch.manual_seed(7)
    return f(*args, **kwargs)


def seed_of_7() -> int:
    """The seed that a call in seeded() draws."""
    torch.manual_seed(7)
    return int(torch.randint(2**63 - 1, (), dtype=torch.int64).item())


class Operators(TorchDispatchMode):
    """A mode that changes nothing. Under it, bitdrop's functions call the operators."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))
