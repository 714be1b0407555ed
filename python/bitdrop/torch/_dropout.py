# SPDX-License-Identifier: Apache-2.0
"""dropout: an autograd.Function calls the kernels in eager mode; otherwise the operators do."""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.compiler import is_compiling
from torch.overrides import handle_torch_function, has_torch_function_unary

from .._library import Config
from . import _dtensor, _kernels, _stock
from ._checks import check, check_generator, check_p
from ._dtensor import is_dtensor
from ._eager import draw_seed, is_eager, is_exporting, is_grad_enabled, untraced
from ._nested import by_values
from ._operators import apply_mask, apply_seed, traced_seed

_SMALL = 2048  # elements up to which making a mask again takes less time than allocating one to keep


class _Dropout(torch.autograd.Function):
    """Keeps the mask or, for small tensors and with recompute, only the config with the seed, which is no tensor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, call: tuple[Config, bool]) -> Tensor:  # each argument costs time
        ctx.config, recompute = call
        if recompute or x.numel() <= _SMALL:
            return _kernels.recompute(x, ctx.config)
        y, mask = _kernels.forward(x, ctx.config)
        ctx.save_for_backward(mask)
        return y

    @staticmethod
    @untraced
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        config = ctx.config
        saved = ctx.saved_tensors  # read even if empty: PyTorch then refuses a second pass without retain_graph
        # Grad mode is on if the backward pass itself is to be differentiated.
        if is_grad_enabled() or forward_ad._current_level >= 0 or not is_eager(dy):
            p = config.p
            dx = apply_mask(dy, saved[0], p) if saved else apply_seed(dy, torch.tensor(config.seed), p)
        else:
            dx = _kernels.backward(dy, saved[0], config.p) if saved else _kernels.recompute(dy, config)
        return dx, None


# The C++ function that _Dropout.apply calls if no functorch transform is active. is_eager() has checked that.
_apply = super(torch.autograd.Function, _Dropout).apply
# The method that the backward node's own apply calls in the end. Setting it here saves the search for a method vjp.
_Dropout._backward_cls.apply = _Dropout.backward  # type: ignore[attr-defined]


def dropout_eager(x: Tensor, p: float, recompute: bool, generator: torch.Generator | None) -> Tensor:
    config = Config(p, draw_seed(generator))
    if x.requires_grad and is_grad_enabled():
        return _apply(x, (config, recompute))
    return _kernels.recompute(x, config)


def _dropout_by_operators(x: Tensor, p: float, recompute: bool, generator: torch.Generator | None) -> Tensor:
    check(x)
    drawn = traced_seed(generator)
    if recompute or is_exporting():  # the size of a mask would restrict the batch sizes of an exported program
        return apply_seed(x, drawn, p)
    return torch.ops.bitdrop.dropout(x, drawn, p)[0]


def overlaps(x: Tensor) -> bool:
    """True if two elements of x share memory."""
    # Dimensions are nested if the stride of each is larger than the reach of all dimensions with smaller strides
    # together. This loop does not sort, because torch.compile cannot sort strides that depend on the batch.
    dims = [(stride, size) for stride, size in zip(x.stride(), x.shape, strict=True) if size > 1]
    reaches = [stride * (size - 1) for stride, size in dims]
    nested = True
    for i, (stride, _) in enumerate(dims):
        inner = sum(reaches[j] for j in range(len(dims)) if j != i and dims[j][0] <= stride)
        nested = nested and stride > inner
    if nested:
        return False
    if any(stride == 0 for stride, _ in dims):
        return True
    if is_compiling():
        torch._dynamo.graph_break(
            msg="torch.compile cannot trace bitdrop in place where elements may share memory: .clone() the tensor first"
        )
    places = torch.arange(sum(reaches) + 1, device="cpu").as_strided(x.shape, x.stride())
    return places.unique().numel() < x.numel()


def check_inplace(x: Tensor) -> None:
    """An error if two elements of x share memory, because x can then not be changed in place."""
    if not x.is_contiguous() and overlaps(x):
        raise RuntimeError("bitdrop: in place, no two elements may share memory: .clone() the tensor first")


@_stock.scripted_as(_stock.dropout)
def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    recompute: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """torch.nn.functional.dropout with the same arguments (Srivastava et al., 2014).

    input is float32, float64, float16 or bfloat16 on the CPU, of any shape and strides. p is in [0, 1]. A kept element
    becomes input / (1 - p). A dropped element becomes +0, also if it was a NaN or an infinity (PyTorch makes a NaN of
    a dropped infinity). If nothing is dropped (p is 0, training is False, or input is empty), input itself is
    returned.

    For the backward pass, ceil(n / 8) bytes are kept for n elements. With recompute=True nothing is kept, and the
    backward pass makes the mask again, which can take longer. In eager mode, nothing is kept for tensors of at most
    2,048 elements either.

    The seed is drawn from generator, which must be a generator of the CPU, or from PyTorch's default generator if it is
    None. torch.compile cannot trace generator=, and runs such a call outside of its graphs. Activation checkpointing
    does not restore such a generator before it repeats a call, so the repeated call raises an error.

    The values of all samples of a nested tensor (jagged or strided) together are dropped like one tensor. The shards of
    a DTensor have the mask of the whole tensor; torch.compile runs that call outside of its graphs, too. Under vmap,
    the argument randomness of torch.func.vmap says whether samples share a mask.

    Raises ValueError if p is outside [0, 1] or a tensor is on another device. Raises TypeError for another dtype or
    layout, and if p is not a number. Raises RuntimeError if inplace is True and elements share memory or input is a
    leaf that requires grad, and if checkpointing repeats a call with a generator.
    """
    if has_torch_function_unary(input):  # a subclass, a mode, or the proxy of torch.fx
        return handle_torch_function(
            dropout,
            (input,),
            input,
            p=p,
            training=training,
            inplace=inplace,
            recompute=recompute,
            generator=generator,
        )
    if not isinstance(input, Tensor):
        raise TypeError(f"bitdrop: input must be a torch.Tensor, and is {type(input).__name__}")
    check_p(p)
    if not training or p == 0.0:
        return input
    eager = forward_ad._current_level < 0 and is_eager(input)  # forward mode needs the operators, which have tangents
    if not eager and is_dtensor(input):
        if is_compiling():
            torch._dynamo.graph_break(msg="torch.compile cannot trace bitdrop's dropout of a DTensor")
        check(input._local_tensor)  # type: ignore[attr-defined]
        if generator is not None:
            check_generator(generator)
        return _dtensor.dropout(input, p, inplace, generator)
    if not eager and input.is_nested:
        return by_values(partial(dropout, p=p, recompute=recompute, generator=generator), input, inplace)
    if (eager or not is_compiling()) and input.numel() == 0:  # in a graph, the size may be unknown
        return input
    if not eager and _stock.recording():
        return _stock.dropout(input, p, training, inplace, generator=generator)
    if generator is not None:
        check_generator(generator)
    if inplace:
        check_inplace(input)
    y = (dropout_eager if eager else _dropout_by_operators)(input, float(p), recompute, generator)
    return input.copy_(y) if inplace else y
