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

import ctypes
import threading
from dataclasses import dataclass
from typing import Any, cast

from ..errors import MissingPackageError

try:
    import torch
    from torch import Tensor
    from torch.autograd import forward_ad
    from torch.compiler import is_compiling, is_dynamo_compiling
    from torch.overrides import handle_torch_function, has_torch_function_unary
except ImportError as error:
    raise MissingPackageError(f"bitdrop.torch needs PyTorch 2.7 or newer ({error}): pip install torch") from error

from ._kernels import DTYPES as _DTYPES
from ._kernels import backward as _backward
from ._kernels import forward as _forward
from ._kernels import recompute as _recompute
from ._operators import Masked as _Masked
from ._operators import apply_mask as _apply_mask
from ._operators import apply_seed as _apply_seed
from ._operators import check as _check
from ._operators import check_p as _check_p

__all__ = ["Dropout", "Patched", "dropout", "patch"]

_SEEDS = 2**63 - 1  # one past the largest seed drawn: all that torch.randint can draw without negative ones

# ---- Eager mode. At 1,024 elements the time is all overhead: the code below is as it is for its sake.


class _Seed(threading.local):
    """Memory, and a tensor of it to draw into. torch.randint(_SEEDS, ()).item() draws the same in twice the time."""

    def __init__(self) -> None:
        self.memory = ctypes.c_int64()
        with torch.inference_mode(False):  # a tensor made in there could not be written to outside
            self.tensor = torch.frombuffer(self.memory, dtype=torch.int64)


_seed = _Seed()
_SMALL = 2048  # up to here, making a mask again takes less time than allocating one to keep


# Bound here, for a chain of attributes costs as much as the call. The second is what autograd.Function.apply asks.
_is_plain_type = frozenset((Tensor, torch.nn.Parameter)).__contains__
_transforming = torch._C._are_functorch_transforms_active
_dispatch_modes = torch._C._len_torch_dispatch_stack
_tracing = torch._C._is_tracing
_has_storage = torch._C._has_storage
_is_grad_enabled = torch.is_grad_enabled


def _eager(x: Tensor) -> bool:
    """True if x passes _check and is memory that nothing traces, transforms or wraps: then no operator is needed.

    Tracers other than Dynamo, of which is_compiling() tells too in twice the time, have a mode or tensors of their own.
    """
    return (
        not is_dynamo_compiling()
        and _is_plain_type(type(x))
        and x.dtype in _DTYPES
        and x.is_cpu
        and _has_storage(x)  # neither sparse nor of the vmap that is_grads_batched=True of torch.autograd.grad uses
        and not (x.is_nested or x.is_neg() or _transforming() or _dispatch_modes() or _tracing())
    )


class _Dropout(torch.autograd.Function):
    """The mask is kept or, with recompute and for small tensors, only the seed, which is no tensor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, seed: int, recompute: bool) -> Tensor:
        ctx.p = p
        if recompute or x.numel() <= _SMALL:
            ctx.seed = seed
            return _recompute(x, seed, p)
        ctx.seed = None
        y, mask = _forward(x, seed, p)
        ctx.save_for_backward(mask)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None, None]:
        p, seed = ctx.p, ctx.seed
        # Grad mode is on in a backward pass that will itself be differentiated.
        if _is_grad_enabled() or not _eager(dy):
            dx = _apply_mask(dy, ctx.saved_tensors[0], p) if seed is None else _apply_seed(dy, torch.tensor(seed), p)
        else:
            dx = _backward(dy, ctx.saved_tensors[0], p) if seed is None else _recompute(dy, seed, p)
        return dx, None, None, None


# What _Dropout.apply comes to where no functorch transform is active, which _eager has made sure of.
_apply = super(torch.autograd.Function, _Dropout).apply


def _dropout_eager(x: Tensor, p: float, recompute: bool) -> Tensor:
    _seed.tensor.random_(0, _SEEDS)
    seed = _seed.memory.value
    if x.requires_grad and _is_grad_enabled():
        return _apply(x, p, seed, recompute)
    return _recompute(x, seed, p)


def _dropout_by_operators(x: Tensor, p: float, recompute: bool) -> Tensor:
    _check(x)
    if is_compiling() and _transforming():
        torch._dynamo.graph_break(msg="torch.compile cannot trace bitdrop's operators through torch.func")
    drawn = torch.randint(_SEEDS, (), dtype=torch.int64, device="cpu")
    if recompute or torch.compiler.is_exporting():  # the size of a mask would limit the batches of the export
        return _apply_seed(x, drawn, p)
    return (torch.ops.bitdrop.dropout if is_compiling() else _Masked.apply)(x, drawn, p)[0]


def _overlaps(x: Tensor) -> bool:
    """True if two elements of x share memory."""
    reach, nested = 0, True  # the furthest that the dimensions so far lead
    for stride, size in sorted(zip(x.stride(), x.shape, strict=True)):
        if size > 1:
            nested = nested and stride > reach
            reach += stride * (size - 1)
    if nested:
        return False
    places = torch.arange(reach + 1, device="cpu").as_strided(x.shape, x.stride())
    return places.unique().numel() < x.numel()


def dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, recompute: bool = False
) -> Tensor:
    """torch.nn.functional.dropout with the same arguments and, where nothing is dropped, the same tensor back.

    input is float32, float64, float16 or bfloat16 on the CPU, of any shape and strides. A kept element becomes
    input / (1 - p), a dropped one +0, whatever it was (PyTorch's p = 1 makes NaN of infinity). For the backward pass
    ceil(n / 8) bytes are kept; with recompute=True none, and the mask is made again, which takes longer but for the
    smallest tensors (of those, none are kept in eager mode anyway).

    Under vmap, randomness= of torch.func.vmap says whether samples share a mask.

    Raises ValueError for p outside [0, 1] and for a tensor on another device, TypeError for another dtype or layout,
    and RuntimeError in place where elements share memory, or a leaf requires grad.
    """
    if has_torch_function_unary(input):  # a subclass, a mode, or the proxy of torch.fx
        return handle_torch_function(
            dropout, (input,), input, p=p, training=training, inplace=inplace, recompute=recompute
        )
    if not isinstance(input, Tensor):
        raise TypeError(f"bitdrop: input must be a torch.Tensor, and is {type(input).__name__}")
    _check_p(p)
    if not training or p == 0.0:
        return input
    eager = _eager(input)
    if (eager or not is_compiling()) and input.numel() == 0:  # a size that a graph may not know
        return input
    if forward_ad._current_level >= 0:  # the operators would drop the tangent and say nothing
        raise NotImplementedError(
            "bitdrop: there is no forward-mode derivative (torch.func.jvp, jacfwd, hessian): take the reverse-mode one "
            "(torch.func.vjp, jacrev), or call torch.nn.functional.dropout there"
        )
    if inplace and not input.is_contiguous() and _overlaps(input):
        raise RuntimeError("bitdrop: in place, no two elements may share memory: .clone() the tensor first")
    y = (_dropout_eager if eager else _dropout_by_operators)(input, float(p), recompute)
    return input.copy_(y) if inplace else y


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


# ---- patch.


@dataclass(frozen=True)
class Patched:
    """What patch() did: names of modules, as model.named_modules() gives them."""

    replaced: tuple[str, ...]
    left: dict[str, str]  # name -> why

    def __str__(self) -> str:
        lines = [f"{len(self.replaced)} replaced, {len(self.left)} left"]
        lines += [f"  replaced {name or '(the model)'}" for name in self.replaced]
        lines += [f"  left     {name or '(the model)'}: {why}" for name, why in self.left.items()]
        return "\n".join(lines)


def _why_left(module: torch.nn.Module) -> str | None:
    kind = type(module).__name__
    if isinstance(module, Dropout):
        return f"is bitdrop's already, with recompute={module.recompute}"
    if isinstance(module, torch.nn.Dropout):
        return f"{kind} is a subclass of nn.Dropout, whose forward pass may be another"
    if isinstance(module, torch.jit.ScriptModule) and module.original_name == "Dropout":
        return "is compiled by torch.jit.script"
    if isinstance(module, torch.nn.modules.dropout._DropoutNd):
        return f"{kind} drops by another rule than nn.Dropout"
    for name, p in vars(module).items():  # dropout, dropout_p, attention_dropout, attn_pdrop, drop_prob
        if "drop" in name and isinstance(p, float) and p > 0:
            return f"{kind} hands {name}={p} to code of its own (fused attention, say), which bitdrop cannot reach"
    return None


def patch(model: torch.nn.Module, *, recompute: bool = False) -> Patched:
    """Make a bitdrop Dropout of every nn.Dropout in model, in place, and say what was and was not replaced.

    The modules stay the objects that they are and change their class: p, mode, hooks, names and whatever else
    refers to them live on. Dropout that is not an nn.Dropout stays PyTorch's: that of channels (nn.Dropout2d) and of
    other distributions, the dropout_p of attention modules, that between the layers of an nn.LSTM, and calls of
    F.dropout, which no module shows and the report cannot list.
    """
    replaced: list[str] = []
    left: dict[str, str] = {}
    for name, module in model.named_modules():
        if type(module) is torch.nn.Dropout:
            module.__class__ = Dropout
            cast(Dropout, module).recompute = recompute
            replaced.append(name)
        elif why := _why_left(module):
            left[name] = why
    return Patched(tuple(replaced), left)
