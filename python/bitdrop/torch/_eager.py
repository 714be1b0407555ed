# SPDX-License-Identifier: Apache-2.0
"""What the eager paths share: the test for a plain tensor, and the seed that a call draws.

Calls on up to 1,024 elements spend nearly all their time on overhead. So this code avoids chains of attributes and
tensors.
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
    """The same function, marked so that Dynamo runs it and all that it calls without compiling.

    PyTorch's C++ code calls kernels and formulas of autograd. If a compiled model runs nn.LSTM between its graphs,
    Dynamo would try to compile each such function. torch.compiler.disable would cost time in each call.
    """
    set_code_exec_strategy(function.__code__, _SKIP)
    return function


SEEDS = 2**63 - 1  # one past the largest seed drawn; the largest bound that torch.randint accepts


class _Seed(threading.local):
    """Memory for a seed, and the method of a tensor on this memory that draws a number into it."""

    def __init__(self) -> None:
        self.memory = ctypes.c_int64()
        with torch.inference_mode(False):  # a tensor made in inference mode cannot be written to outside of it
            self.draw = torch.frombuffer(self.memory, dtype=torch.int64).random_


_seed = _Seed()


def draw_seed(generator: torch.Generator | None = None) -> int:
    """A seed from a generator; None is PyTorch's default one.

    torch.randint(SEEDS, ()).item() draws the same seed in twice the time.
    """
    if generator is None:
        _seed.draw(SEEDS)
    else:
        _seed.draw(SEEDS, generator=generator)
    return _seed.memory.value


# Names of their own, because a chain of attributes takes as long as the call. autograd.Function.apply calls the second.
is_plain_type = frozenset((Tensor, torch.nn.Parameter)).__contains__
transforming = torch._C._are_functorch_transforms_active
dispatch_modes = torch._C._len_torch_dispatch_stack
_tracing = torch._C._is_tracing
has_storage = torch._C._has_storage
is_grad_enabled = torch.is_grad_enabled
_is_included = torch._C._dispatch_tls_is_dispatch_key_included
_PRE_DISPATCH = torch._C.DispatchKey.PreDispatch  # make_fx(pre_dispatch=True) sets it; its mode is on another stack


def is_eager(x: Tensor) -> bool:
    """True if x passes check(), has memory, and nothing traces, transforms or wraps it: then no operator is needed.

    is_compiling() would also find tracers other than Dynamo, but takes twice the time. These have a mode or tensors of
    their own, which this function finds. A zero tensor of autograd has a storage without memory.
    """
    return (
        not is_dynamo_compiling()
        and is_plain_type(type(x))
        and x.dtype in DTYPES
        and x.is_cpu
        and has_storage(x)  # not sparse, and not from the vmap of torch.autograd.grad(is_grads_batched=True)
        and not (x.is_nested or x.is_neg() or x._is_zerotensor() or transforming() or dispatch_modes() or _tracing())
        and not _is_included(_PRE_DISPATCH)
    )


def is_exporting() -> bool:
    """What torch.compiler.is_exporting returns, which Dynamo of PyTorch 2.7 and 2.10 would always replace by True."""
    return torch.compiler._is_exporting_flag
