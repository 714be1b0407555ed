# SPDX-License-Identifier: Apache-2.0
"""Checks of the arguments of functions and operators. Users may call an operator directly, so it checks all of them."""

import numbers
from typing import Any

import torch
from torch import Tensor
from torch._subclasses import FakeTensor
from torch.compiler import is_dynamo_compiling

from ..errors import shown
from . import _kernels, _kernels_2d
from ._dtensor import is_dtensor
from ._eager import is_grad_enabled


def check(x: Tensor) -> None:
    """An error unless the kernels support x."""
    if is_dtensor(x):
        raise TypeError(
            "bitdrop: the tensor is a DTensor, and only bitdrop's dropout() accepts one: "
            "call the function of torch.nn.functional, or .full_tensor() first"
        )
    if x.dtype not in _kernels.DTYPES:
        raise TypeError(
            f"bitdrop: the tensor is {x.dtype}, and must be float32, float64, float16 or bfloat16: "
            "convert it first, for example with .float()"
        )
    if x.layout is not torch.strided or x.is_nested:
        kind, cure = ("nested", ".unbind() it") if x.is_nested else (x.layout, "convert it with .to_dense()")
        raise TypeError(f"bitdrop: the tensor is {kind}, and must be strided: {cure}")
    if x.device.type not in ("cpu", "meta"):
        raise ValueError(
            f"bitdrop: the tensor is on {x.device}, and bitdrop runs on the CPU: "
            "move it with .cpu(), or call torch.nn.functional.dropout there"
        )


def check_p(p: float) -> None:
    """An error unless p is a probability."""
    if type(p) is not float and (
        isinstance(p, bool) or not isinstance(p, (numbers.Real, torch.SymFloat, torch.SymInt))
    ):
        raise TypeError(f"bitdrop: p must be a number in [0, 1], and is a {type(p).__name__}: pass a float")
    if not 0.0 <= p <= 1.0:  # NaN is not
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {shown(p)}")


def check_activation(activation: str) -> None:
    """An error unless activation is the name of one."""
    if not isinstance(activation, str) or activation not in _kernels_2d.ACTIVATIONS:
        names = ", ".join(map(repr, _kernels_2d.ACTIVATIONS))
        raise ValueError(f"bitdrop: activation must be one of {names}, not {shown(activation)}")


def check_generator(generator: torch.Generator, draws: bool = True) -> None:
    """An error unless generator is one of the CPU. If draws, also an error if checkpointing repeats the call."""
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"bitdrop: generator must be a torch.Generator or None, and is {type(generator).__name__}")
    if generator.device.type != "cpu":
        raise ValueError(
            f"bitdrop: the generator is on {generator.device}, and seeds are drawn on the CPU: pass torch.Generator()"
        )
    if draws and not is_dynamo_compiling():
        check_not_repeated()


def check_not_repeated() -> None:
    """An error if checkpointing repeats this call.

    A repeated call runs in a backward pass with grad mode on. Hooks and formulas of derivatives run there with grad
    mode off.
    """
    if is_grad_enabled() and torch._C._current_graph_task_id() != -1:
        raise RuntimeError(
            "bitdrop: activation checkpointing repeats this call without restoring its generator, so its mask would "
            "change and the gradient would be wrong: leave out generator=, because PyTorch's default generator is "
            "restored"
        )


def seed_of(seed: Tensor) -> int:
    if seed.dtype is not torch.int64 or seed.numel() != 1:
        raise TypeError("bitdrop: the seed must be one int64, as torch.randint(2**63 - 1, ()) makes it")
    return int(seed.item()) % 2**64


def _check_mask(dy: Tensor, mask: Tensor) -> None:
    """An error unless mask fits dy: flat, or with rows that each start at a byte."""
    rows = mask.shape[0] if mask.dim() == 2 else 1
    cols = dy.numel() // rows if rows else 0
    expected = (rows, (cols + 7) // 8) if mask.dim() == 2 else ((cols + 7) // 8,)
    if mask.dtype is not torch.uint8 or mask.shape != expected or not mask.is_contiguous() or rows * cols != dy.numel():
        raise ValueError(
            f"bitdrop: the mask of {dy.numel()} elements must be {(dy.numel() + 7) // 8} contiguous uint8, or rows of "
            f"them, as the forward operator returned it, and is {tuple(mask.shape)} of {mask.dtype}"
        )


def _check_operand(name: str, operand: Tensor, first: Tensor) -> None:
    check(operand)
    shape = first.shape[-1:] if name == "bias" else first.shape
    if operand.shape != shape or operand.dtype is not first.dtype:
        raise ValueError(
            f"bitdrop: {name} must be {tuple(shape)} of {first.dtype}, and is {tuple(operand.shape)} of {operand.dtype}"
        )


def checked_arguments(names: list[str], args: tuple[Any, ...]) -> list[Any]:
    """The checked arguments of a kernel, from those of its operator. The name of an argument says how to check it."""
    given = dict(zip(names, args, strict=True))
    first = args[0]
    check(first)
    for name, value in given.items():
        if name == "seed":
            given[name] = seed_of(value)
        elif name == "p":
            check_p(value)
        elif name == "dims" and not 0 <= value <= first.dim():
            raise ValueError(
                f"bitdrop: dims must lie in [0, {first.dim()}], the number of dimensions of the tensor, not {value}"
            )
        elif name == "activation":
            check_activation(value)
        elif name == "mask":
            _check_mask(first, value)
            if "bias" in given and value.shape != _kernels_2d.mask_shape(first, given["bias"]):
                raise ValueError("bitdrop: the mask must be from a forward call with or without a bias, like this call")
        elif isinstance(value, Tensor):
            _check_operand(name, value, first)
    return list(given.values())


def check_devices(names: list[str], args: tuple[Any, ...]) -> None:
    """An error if a call on the meta device has a tensor on another device: nothing would write its results.

    FakeTensors have no memory and are accepted. The seed may be on the CPU.
    """
    for name, x in zip(names, args, strict=True):
        if isinstance(x, Tensor) and not (name == "seed" or x.is_meta or isinstance(x, FakeTensor)):
            raise ValueError(
                f"bitdrop: {name} is on {x.device}, and another tensor of the call is on meta: move it with .to() "
                "so that all are on one device"
            )
