# SPDX-License-Identifier: Apache-2.0
"""bitdrop::dropout, ::dropout_backward and ::dropout_recompute, their derivatives, and what they check."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling

from . import _kernels

# ---- Checks: the operators' too, for anyone may call these.


def check(x: Tensor) -> None:
    """An error unless x is what the kernels take."""
    if x.dtype not in _kernels.DTYPES:
        raise TypeError(
            f"bitdrop: the tensor is {x.dtype}, and must be float32, float64, float16 or bfloat16: "
            "convert it first, with .float() say"
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
    if not 0.0 <= p <= 1.0:  # NaN is not
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _seed_of(seed: Tensor) -> int:
    if seed.dtype is not torch.int64 or seed.numel() != 1:
        raise TypeError("bitdrop: the seed must be one int64, as torch.randint(2**63 - 1, ()) makes it")
    return int(seed.item()) % 2**64


def _check_mask(dy: Tensor, mask: Tensor) -> None:
    expected = (dy.numel() + 7) // 8
    if mask.dtype is not torch.uint8 or mask.shape != (expected,) or not mask.is_contiguous():
        raise ValueError(
            f"bitdrop: the mask of {dy.numel()} elements must be {expected} contiguous uint8, as bitdrop::dropout "
            f"returns it, and is {tuple(mask.shape)} of {mask.dtype}"
        )


# ---- Operators.

_ops = torch.library.Library("bitdrop", "DEF")
_TAGS = (torch.Tag.pt2_compliant_tag,)
_ops.define("dropout(Tensor x, Tensor seed, float p) -> (Tensor y, Tensor mask)", tags=_TAGS)
_ops.define("dropout_backward(Tensor dy, Tensor mask, float p) -> Tensor", tags=_TAGS)
_ops.define("dropout_recompute(Tensor x, Tensor seed, float p) -> Tensor", tags=_TAGS)


def _dropout_cpu(x: Tensor, seed: Tensor, p: float) -> tuple[Tensor, Tensor]:
    check(x)
    check_p(p)
    return _kernels.forward(x, _seed_of(seed), p)


def _dropout_backward_cpu(dy: Tensor, mask: Tensor, p: float) -> Tensor:
    check(dy)
    check_p(p)
    _check_mask(dy, mask)
    return _kernels.backward(dy, mask, p)


def _dropout_recompute_cpu(x: Tensor, seed: Tensor, p: float) -> Tensor:
    check(x)
    check_p(p)
    return _kernels.recompute(x, _seed_of(seed), p)


def _dropout_fake(x: Tensor, seed: Tensor, p: float) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), _kernels.new_mask(x)


def _like_fake(x: Tensor, mask_or_seed: Tensor, p: float) -> Tensor:
    return torch.empty_like(x)


def apply_mask(dy: Tensor, mask: Tensor, p: float) -> Tensor:
    """dropout_backward with its derivatives, whatever transforms it."""
    return torch.ops.bitdrop.dropout_backward(dy, mask, p) if is_compiling() else _ByMask.apply(dy, mask, p)


def apply_seed(x: Tensor, seed: Tensor, p: float) -> Tensor:
    """dropout_recompute with the same."""
    return torch.ops.bitdrop.dropout_recompute(x, seed, p) if is_compiling() else _BySeed.apply(x, seed, p)


def _vmap(function: Callable[..., Any], info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
    """One call for each sample: what its mask is must not depend on the other samples."""
    n = info.batch_size

    def pick(a: Any, dim: int | None, i: int) -> Any:
        if dim is None:
            return a
        return a.select(dim, i) if n else a.new_zeros(a.shape[:dim] + a.shape[dim + 1 :])  # for what shape comes of it

    samples = [function(*(pick(a, dim, i) for a, dim in zip(args, in_dims, strict=True))) for i in range(max(n, 1))]
    if isinstance(samples[0], Tensor):
        return torch.stack(samples)[:n], 0
    return tuple(torch.stack(outputs)[:n] for outputs in zip(*samples, strict=True)), (0,) * len(samples[0])


# torch.func wants an autograd.Function around an operator; torch.compile wants the operator, with the same formulas.


class Masked(torch.autograd.Function):
    """bitdrop::dropout with the same."""

    @staticmethod
    def forward(x: Tensor, seed: Tensor, p: float) -> tuple[Tensor, Tensor]:
        return torch.ops.bitdrop.dropout(x, seed, p)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.p = inputs[2]
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, dy: Tensor, _: Any) -> tuple[Tensor, None, None]:
        return apply_mask(dy, ctx.saved_tensors[0], ctx.p), None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        return _vmap(Masked.apply, info, in_dims, *args)


class _ByMask(torch.autograd.Function):
    """Linear in dy, so that it is its own derivative."""

    @staticmethod
    def forward(dy: Tensor, mask: Tensor, p: float) -> Tensor:
        return torch.ops.bitdrop.dropout_backward(dy, mask, p)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.p = inputs[2]
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        return apply_mask(dy, ctx.saved_tensors[0], ctx.p), None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        return _vmap(_ByMask.apply, info, in_dims, *args)


class _BySeed(torch.autograd.Function):
    """The same of the seed, which stands for the mask."""

    @staticmethod
    def forward(x: Tensor, seed: Tensor, p: float) -> Tensor:
        return torch.ops.bitdrop.dropout_recompute(x, seed, p)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.p = inputs[2]
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        return apply_seed(dy, ctx.saved_tensors[0], ctx.p), None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        return _vmap(_BySeed.apply, info, in_dims, *args)


def _register(name: str, cpu: Callable[..., Any], fake: Callable[..., Any], formulas: Any) -> None:
    op = f"bitdrop::{name}"
    _ops.impl(name, cpu, "CPU")
    torch.library.register_fake(op, fake, lib=_ops)
    torch.library.register_autograd(op, formulas.backward, setup_context=formulas.setup_context, lib=_ops)


_register("dropout", _dropout_cpu, _dropout_fake, Masked)
_register("dropout_backward", _dropout_backward_cpu, _like_fake, _ByMask)
_register("dropout_recompute", _dropout_recompute_cpu, _like_fake, _BySeed)
