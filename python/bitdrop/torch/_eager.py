# SPDX-License-Identifier: Apache-2.0
"""What the eager paths share: the test for a plain tensor, and the seed that a call draws.

Up to 1,024 elements, the time of a call is all overhead. The code below avoids attribute chains and tensors for that.
"""

import ctypes
import threading
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch._C._dynamo.eval_frame import _FrameAction, _FrameExecStrategy, set_code_exec_strategy
from torch.compiler import is_dynamo_compiling

from ._kernels import DTYPES

_Function = TypeVar("_Function", bound=Callable[..., object])
_SKIP = _FrameExecStrategy(_FrameAction.SKIP, _FrameAction.SKIP)


def untraced(function: _Function) -> _Function:
    """The same function, which Dynamo runs as it is, with all that it calls.

    PyTorch's C++ code calls kernels and formulas of autograd. Where a compiled model runs nn.LSTM between its graphs,
    Dynamo would see such a call as a new function to compile. torch.compiler.disable costs time in each call.
    """
    set_code_exec_strategy(function.__code__, _SKIP)
    return function


SEEDS = 2**63 - 1  # one past the largest seed drawn: all that torch.randint can draw without negative ones


class _Seed(threading.local):
    """Memory, and the method of a tensor of it that draws into it."""

    def __init__(self) -> None:
        self.memory = ctypes.c_int64()
        with torch.inference_mode(False):  # a tensor made in there could not be written to outside
            self.draw = torch.frombuffer(self.memory, dtype=torch.int64).random_


_seed = _Seed()


def draw_seed(generator: torch.Generator | None = None) -> int:
    """A seed from PyTorch's default generator. torch.randint(SEEDS, ()).item() draws the same one in twice the time."""
    if generator is None:
        _seed.draw(SEEDS)
    else:
        _seed.draw(SEEDS, generator=generator)
    return _seed.memory.value


# Bound here, because a chain of attributes costs as much as the call. The second is what autograd.Function.apply asks.
is_plain_type = frozenset((Tensor, torch.nn.Parameter)).__contains__
transforming = torch._C._are_functorch_transforms_active
dispatch_modes = torch._C._len_torch_dispatch_stack
_tracing = torch._C._is_tracing
has_storage = torch._C._has_storage
is_grad_enabled = torch.is_grad_enabled
_is_included = torch._C._dispatch_tls_is_dispatch_key_included
_PRE_DISPATCH = torch._C.DispatchKey.PreDispatch  # of make_fx(pre_dispatch=True), whose mode is on no stack


def is_eager(x: Tensor) -> bool:
    """True if x passes check() and is memory that nothing traces, transforms or wraps: then no operator is needed.

    is_compiling() would see other tracers than Dynamo too, in twice the time. They have a mode or tensors of their own.
    A zero tensor of autograd has a storage without memory.
    """
    return (
        not is_dynamo_compiling()
        and is_plain_type(type(x))
        and x.dtype in DTYPES
        and x.is_cpu
        and has_storage(x)  # neither sparse nor of the vmap that is_grads_batched=True of torch.autograd.grad uses
        and not (x.is_nested or x.is_neg() or x._is_zerotensor() or transforming() or dispatch_modes() or _tracing())
        and not _is_included(_PRE_DISPATCH)
    )


def is_exporting() -> bool:
    """What torch.compiler.is_exporting returns; Dynamo of PyTorch 2.7 and 2.10 takes that to be True everywhere."""
    return torch.compiler._is_exporting_flag
