# SPDX-License-Identifier: Apache-2.0
"""The calls on data, except attention. The docstring of __init__.py describes what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy.typing as npt

from . import _arrays, _calls, _library
from ._arrays import Array
from ._calls import CallOptions, InferOptions
from ._operations import ACTIVATIONS
from ._softmax import Soft

if TYPE_CHECKING:
    from typing_extensions import Unpack

_Out = TypeVar("_Out", bound=Array)


def _activation(act: str) -> str:
    _library.choice(act, "act", ACTIVATIONS)
    return act


# ---- Dropout alone.


@overload
def forward(
    x: Array, p: float, *, seed: int, mask: Array | None = None, remade: bool = False, **options: Unpack[CallOptions]
) -> tuple[npt.NDArray[Any], Any]: ...
@overload
def forward(
    x: Array, p: float, *, seed: int, out: _Out, mask: Array | None = None, remade: bool = False,
    **options: Unpack[CallOptions],
) -> tuple[_Out, Any]: ...  # fmt: skip
def forward(
    x: Array,
    p: float,
    *,
    seed: int,
    out: Array | None = None,
    mask: Array | None = None,
    remade: bool = False,
    **options: Unpack[CallOptions],
) -> tuple[Any, Any]:
    """Dropout of x in training (Srivastava et al., 2014), and the mask that backward needs.

    Args:
        x: array of any shape.
        p: probability that an element is dropped, in [0, 1]. help(bitdrop) describes the options.
        seed: key of the generator, in [0, 2**64).
        out: array of x's shape and dtype that receives the result; may be x. None for a new one.
        mask: uint8 array that receives the mask, in a layout that help(bitdrop) lists. None for a new one.
        remade: if true, no mask is kept in memory, and backward makes the bits again from the seed.
        **options: stream, offset, rounds, scaling, stores, isa, pitch, unit, mask_repeat, first_row.

    Returns:
        (y, mask): x / (1 - p) where an element is kept (x with scaling="infer") and +0 elsewhere, and the mask, or None
        if remade. Arrays that were passed are returned.
    """
    return _calls.forward("forward", p, {"x": x}, options, seed=seed, out=out, mask=mask, remade=remade)


@overload
def backward(
    dy: Array, p: float, mask: Array | None = None, *, seed: int | None = None, **options: Unpack[CallOptions]
) -> npt.NDArray[Any]: ...
@overload
def backward(
    dy: Array, p: float, mask: Array | None = None, *, seed: int | None = None, out: _Out,
    **options: Unpack[CallOptions],
) -> _Out: ...  # fmt: skip
def backward(
    dy: Array,
    p: float,
    mask: Array | None = None,
    *,
    seed: int | None = None,
    out: Array | None = None,
    **options: Unpack[CallOptions],
) -> Any:
    """The backward pass of forward: dy / (1 - p) where an element is kept (dy with scaling="infer") and +0 elsewhere.

    Args:
        dy: gradient of forward's result, of any shape.
        p: as in the forward call, like all options except stores and isa.
        mask: the mask that forward returned.
        seed: the seed of the forward call, from which the bits are made again. Pass either mask or seed.
        out: array of dy's shape and dtype that receives the result; may be dy. None for a new one.
        **options: the options of forward. stream and offset have no effect if mask is passed.

    Returns:
        The gradient of x: a new array, or out.
    """
    return _calls.backward("backward", p, {"dy": dy}, options, mask=mask, seed=seed, out=out)


@overload
def recompute(x: Array, p: float, *, seed: int, **options: Unpack[CallOptions]) -> npt.NDArray[Any]: ...
@overload
def recompute(x: Array, p: float, *, seed: int, out: _Out, **options: Unpack[CallOptions]) -> _Out: ...
def recompute(x: Array, p: float, *, seed: int, out: Array | None = None, **options: Unpack[CallOptions]) -> Any:
    """The y of forward without a mask in memory. On dy, with the same arguments, this is the backward pass.

    Args:
        x: array of any shape: data, or the gradient of the result of an earlier call.
        p: probability that an element is dropped, in [0, 1]. help(bitdrop) describes the options.
        seed: key of the generator, in [0, 2**64).
        out: array of x's shape and dtype that receives the result; may be x. None for a new one.
        **options: the options of forward.

    Returns:
        A new array, or out.
    """
    return _calls.run("recompute", p, {"x": x}, options, seed=seed, out=out)[0]


@overload
def infer(x: Array, p: float, **options: Unpack[InferOptions]) -> npt.NDArray[Any]: ...
@overload
def infer(x: Array, p: float, *, out: _Out, **options: Unpack[InferOptions]) -> _Out: ...
def infer(x: Array, p: float, *, out: Array | None = None, **options: Unpack[InferOptions]) -> Any:
    """Dropout at inference: a copy of x, or x * (1 - p) with scaling="infer".

    Args:
        x: array of any shape.
        p: as in training.
        out: array of x's shape and dtype that receives the result; may be x. None for a new one.
        **options: scaling, which must be as in training, stores, isa.

    Returns:
        A new array, or out.
    """
    return _calls.run("infer", p, {"x": x}, options, out=out)[0]


# ---- A bias added before dropout, and a residual added after it.


@overload
def forward_add(
    x: Array, p: float, *, bias: Array | None = None, residual: Array | None = None, seed: int,
    mask: Array | None = None, remade: bool = False, **options: Unpack[CallOptions],
) -> tuple[npt.NDArray[Any], Any]: ...  # fmt: skip
@overload
def forward_add(
    x: Array, p: float, *, bias: Array | None = None, residual: Array | None = None, seed: int, out: _Out,
    mask: Array | None = None, remade: bool = False, **options: Unpack[CallOptions],
) -> tuple[_Out, Any]: ...  # fmt: skip
def forward_add(
    x: Array,
    p: float,
    *,
    bias: Array | None = None,
    residual: Array | None = None,
    seed: int,
    out: Array | None = None,
    mask: Array | None = None,
    remade: bool = False,
    **options: Unpack[CallOptions],
) -> tuple[Any, Any]:
    """The sum residual + dropout(x + bias), and the mask that backward_add needs.

    Args:
        x: array of any shape.
        p: probability that an element is dropped, in [0, 1]. help(bitdrop) describes the options.
        bias: array of x's dtype with one value for each column, added before dropout.
        residual: array of x's shape and dtype, added after dropout.
        seed: key of the generator, in [0, 2**64).
        out: array of x's shape and dtype that receives the result; may be x or residual. None for a new one.
        mask: uint8 array that receives the mask, in a layout that help(bitdrop) lists. None for a new one.
        remade: if true, no mask is kept in memory, and backward_add makes the bits again from the seed.
        **options: the options of forward.

    Returns:
        (y, mask): the sum, and the mask, or None if remade. Arrays that were passed are returned.
    """
    inputs = {"x": x, "bias": bias, "residual": residual}
    return _calls.forward("forward_add", p, inputs, options, seed=seed, out=out, mask=mask, remade=remade)


@overload
def backward_add(
    dy: Array, p: float, mask: Array | None = None, *, residual: Array | None = None, seed: int | None = None,
    **options: Unpack[CallOptions],
) -> npt.NDArray[Any]: ...  # fmt: skip
@overload
def backward_add(
    dy: Array, p: float, mask: Array | None = None, *, residual: Array | None = None, seed: int | None = None,
    out: _Out, **options: Unpack[CallOptions],
) -> _Out: ...  # fmt: skip
def backward_add(
    dy: Array,
    p: float,
    mask: Array | None = None,
    *,
    residual: Array | None = None,
    seed: int | None = None,
    out: Array | None = None,
    **options: Unpack[CallOptions],
) -> Any:
    """The backward pass of forward_add: the gradient of its x, plus residual.

    If residual and out are the same array, the gradient is added to it. The gradient of forward_add's residual is dy
    itself. The gradient of its bias is the sum over rows of what this call returns without residual.

    Args:
        dy: gradient of the forward call's result, of any shape.
        p: as in the forward call, like all options except stores and isa.
        mask: the mask that the forward call returned.
        residual: array of dy's shape and dtype, added to the gradient.
        seed: the seed of the forward call, from which the bits are made again. Pass either mask or seed.
        out: array of dy's shape and dtype that receives the result; may be dy or residual. None for a new one.
        **options: the options of forward. stream and offset have no effect if mask is passed.

    Returns:
        The sum: a new array, or out.
    """
    inputs = {"dy": dy, "residual": residual}
    return _calls.backward("backward_add", p, inputs, options, mask=mask, seed=seed, out=out)


# ---- An activation before dropout.


@overload
def forward_act(
    x: Array, act: str, p: float, *, bias: Array | None = None, seed: int, mask: Array | None = None,
    remade: bool = False, **options: Unpack[CallOptions],
) -> tuple[npt.NDArray[Any], Any]: ...  # fmt: skip
@overload
def forward_act(
    x: Array, act: str, p: float, *, bias: Array | None = None, seed: int, out: _Out, mask: Array | None = None,
    remade: bool = False, **options: Unpack[CallOptions],
) -> tuple[_Out, Any]: ...  # fmt: skip
def forward_act(
    x: Array,
    act: str,
    p: float,
    *,
    bias: Array | None = None,
    seed: int,
    out: Array | None = None,
    mask: Array | None = None,
    remade: bool = False,
    **options: Unpack[CallOptions],
) -> tuple[Any, Any]:
    """dropout(act(x + bias)), and the mask that backward_act needs.

    Args:
        x: array of any shape.
        act: "relu", "gelu", "gelu_tanh" or "silu". The mask of "relu" has a 1 where an element is kept and x + bias is
            positive or a NaN. It has one bit for each element, whatever unit and mask_repeat are.
        p: probability that an element is dropped, in [0, 1]. help(bitdrop) describes the options.
        bias: array of x's dtype with one value for each column, added before the activation.
        seed: key of the generator, in [0, 2**64).
        out: array of x's shape and dtype that receives the result; may be x. None for a new one.
        mask: uint8 array that receives the mask, in a layout that help(bitdrop) lists. None for a new one.
        remade: if true, no mask is kept in memory, and backward_act makes the bits again from seed, x and bias.
        **options: the options of forward.

    Returns:
        (y, mask): the result, and the mask, or None if remade. Arrays that were passed are returned.
    """
    name = f"forward_{_activation(act)}"
    return _calls.forward(name, p, {"x": x, "bias": bias}, options, seed=seed, out=out, mask=mask, remade=remade)


@overload
def backward_act(
    dy: Array, act: str, p: float, mask: Array | None = None, *, x: Array | None = None, bias: Array | None = None,
    seed: int | None = None, **options: Unpack[CallOptions],
) -> npt.NDArray[Any]: ...  # fmt: skip
@overload
def backward_act(
    dy: Array, act: str, p: float, mask: Array | None = None, *, x: Array | None = None, bias: Array | None = None,
    seed: int | None = None, out: _Out, **options: Unpack[CallOptions],
) -> _Out: ...  # fmt: skip
def backward_act(
    dy: Array,
    act: str,
    p: float,
    mask: Array | None = None,
    *,
    x: Array | None = None,
    bias: Array | None = None,
    seed: int | None = None,
    out: Array | None = None,
    **options: Unpack[CallOptions],
) -> Any:
    """The backward pass of forward_act.

    Args:
        dy: gradient of the forward call's result, of any shape.
        act: as in the forward call.
        p: as in the forward call, like all options except stores and isa.
        mask: the mask that the forward call returned.
        x: as in the forward call. Not needed with "relu" if mask is passed.
        bias: as in the forward call. Not needed with "relu" if mask is passed.
        seed: the seed of the forward call, from which the bits are made again. Pass either mask or seed.
        out: array of dy's shape and dtype that receives the result; may be dy or x. None for a new one.
        **options: the options of forward. stream and offset have no effect if mask is passed.

    Returns:
        The gradient of x: a new array, or out.
    """
    name = f"backward_{_activation(act)}"
    return _calls.backward(name, p, {"dy": dy, "x": x, "bias": bias}, options, mask=mask, seed=seed, out=out)


# ---- Alpha dropout.


@overload
def forward_alpha(
    x: Array, p: float, *, seed: int, mask: Array | None = None, remade: bool = False, **options: Unpack[CallOptions]
) -> tuple[npt.NDArray[Any], Any]: ...
@overload
def forward_alpha(
    x: Array, p: float, *, seed: int, out: _Out, mask: Array | None = None, remade: bool = False,
    **options: Unpack[CallOptions],
) -> tuple[_Out, Any]: ...  # fmt: skip
def forward_alpha(
    x: Array,
    p: float,
    *,
    seed: int,
    out: Array | None = None,
    mask: Array | None = None,
    remade: bool = False,
    **options: Unpack[CallOptions],
) -> tuple[Any, Any]:
    """Alpha dropout for SELU networks (Klambauer et al., 2017): data of mean 0 and variance 1 keep both.

    Args:
        x: array of any shape.
        p: probability that an element is dropped, in [0, 1]. help(bitdrop) describes the options.
        seed: key of the generator, in [0, 2**64).
        out: array of x's shape and dtype that receives the result; may be x. None for a new one.
        mask: uint8 array that receives the mask, in a layout that help(bitdrop) lists. None for a new one.
        remade: if true, no mask is kept in memory, and backward_alpha makes the bits again from the seed.
        **options: the options of forward. scaling has no effect.

    Returns:
        (y, mask): a * x + b where an element is kept and the constant d elsewhere, and the mask, or None if remade.
        Arrays that were passed are returned. docs/reference.md defines a, b and d.
    """
    return _calls.forward("forward_alpha", p, {"x": x}, options, seed=seed, out=out, mask=mask, remade=remade)


@overload
def backward_alpha(
    dy: Array, p: float, mask: Array | None = None, *, seed: int | None = None, **options: Unpack[CallOptions]
) -> npt.NDArray[Any]: ...
@overload
def backward_alpha(
    dy: Array, p: float, mask: Array | None = None, *, seed: int | None = None, out: _Out,
    **options: Unpack[CallOptions],
) -> _Out: ...  # fmt: skip
def backward_alpha(
    dy: Array,
    p: float,
    mask: Array | None = None,
    *,
    seed: int | None = None,
    out: Array | None = None,
    **options: Unpack[CallOptions],
) -> Any:
    """The backward pass of forward_alpha: a * dy where an element is kept and +0 elsewhere.

    Args:
        dy: gradient of the forward call's result, of any shape.
        p: as in the forward call, like all options except stores and isa.
        mask: the mask that the forward call returned.
        seed: the seed of the forward call, from which the bits are made again. Pass either mask or seed.
        out: array of dy's shape and dtype that receives the result; may be dy. None for a new one.
        **options: the options of forward. stream and offset have no effect if mask is passed.

    Returns:
        The gradient of x: a new array, or out.
    """
    return _calls.backward("backward_alpha", p, {"dy": dy}, options, mask=mask, seed=seed, out=out)


# ---- Softmax.


def forward_softmax(
    x: Array,
    p: float,
    *,
    scale: float = 1.0,
    bias: Array | None = None,
    bias_block: int | None = None,
    bias_repeat: int | None = None,
    causal_rows: int = 0,
    causal_first: int = 0,
    seed: int,
    out: Array | None = None,
    prob: Array | bool = True,
    lse: Array | None = None,
    mask: Array | None = None,
    remade: bool = False,
    **options: Unpack[CallOptions],
) -> tuple[Any, Any, Any]:
    """dropout(softmax(scale * x + bias)) of each row, and the softmax and the mask that backward_softmax needs.

    Below, row R is row r of x, where R = first_row + r.

    Args:
        x: array of any shape, whose last dimension is its columns.
        p: probability that an element is dropped, in [0, 1]. help(bitdrop) describes the options.
        scale: factor of x, finite and not 0.
        bias: array of x's dtype, added to scale * x. -inf hides a column. Its last dimension is that of x. Its other
            dimensions broadcast to those of x: one group of neighbouring dimensions may be 1, or may be left out if it
            comes first.
        bias_block: if not None, bias is not broadcast but is a matrix, and row R of the data adds the bias row
            R // (bias_block * bias_repeat) * bias_block + R % bias_block.
        bias_repeat: see bias_block. None is 1.
        causal_rows: if not 0, row R sees only the columns c <= causal_first + R % causal_rows.
        causal_first: see causal_rows; 0 if that is 0.
        seed: key of the generator, in [0, 2**64).
        out: array of x's shape and dtype that receives the result; may be x. None for a new one.
        prob: array of x's shape and dtype that receives the softmax; may be x if out is not x. True makes a new array,
            and False none.
        lse: array of x's shape without the columns that receives the logarithm of the sum of exp of each row. Its dtype
            is float64 if x's is, else float32. None if it is not needed.
        mask: uint8 array that receives the mask, in a layout that help(bitdrop) lists. None for a new one.
        remade: if true, no mask is kept in memory, and backward_softmax makes the bits again from the seed.
        **options: the options of forward.

    Returns:
        (y, prob, mask): the result, the softmax or None, and the mask, or None if remade. Arrays that were passed are
        returned. y and prob are +0 in columns that a row does not see.
    """
    wanted: Any = prob
    if isinstance(prob, bool):
        wanted = _arrays.output(None, _arrays.data(x, "x"))[0] if prob else None
    soft = Soft(scale, bias_block, bias_repeat, causal_rows, causal_first, lse)
    inputs = {"x": x, "bias": bias, "prob": wanted}
    y, mask = _calls.forward(
        "forward_softmax", p, inputs, options, seed=seed, out=out, mask=mask, remade=remade, soft=soft
    )
    return y, wanted, mask


def backward_softmax(
    dy: Array,
    p: float,
    mask: Array | None = None,
    *,
    prob: Array,
    scale: float = 1.0,
    causal_rows: int = 0,
    causal_first: int = 0,
    seed: int | None = None,
    out: Array | None = None,
    **options: Unpack[CallOptions],
) -> Any:
    """The backward pass of forward_softmax.

    Args:
        dy: gradient of the forward call's result, of any shape.
        p: as in the forward call, like all options except stores and isa.
        mask: the mask that the forward call returned.
        prob: the softmax that the forward call returned.
        scale: as in the forward call.
        causal_rows: as in the forward call.
        causal_first: as in the forward call.
        seed: the seed of the forward call, from which the bits are made again. Pass either mask or seed.
        out: array of dy's shape and dtype that receives the result; may be dy or prob. None for a new one.
        **options: the options of forward. stream and offset have no effect if mask is passed.

    Returns:
        The gradient of x: a new array, or out.
    """
    soft = Soft(scale, causal_rows=causal_rows, causal_first=causal_first)
    inputs = {"dy": dy, "prob": prob}
    return _calls.backward("backward_softmax", p, inputs, options, mask=mask, seed=seed, out=out, soft=soft)


# ---- Gaussian.


@overload
def gaussian(x: Array, p: float, *, seed: int, **options: Unpack[CallOptions]) -> npt.NDArray[Any]: ...
@overload
def gaussian(x: Array, p: float, *, seed: int, out: _Out, **options: Unpack[CallOptions]) -> _Out: ...
def gaussian(x: Array, p: float, *, seed: int, out: Array | None = None, **options: Unpack[CallOptions]) -> Any:
    """Gaussian dropout (Srivastava et al., 2014, section 10). On dy, with the same arguments, it is the backward pass.

    Args:
        x: array of any shape: data, or the gradient of the result of an earlier call.
        p: in [0, 1). The noise has the variance p / (1 - p). help(bitdrop) describes the options.
        seed: key of the generator, in [0, 2**64).
        out: array of x's shape and dtype that receives the result; may be x. None for a new one.
        **options: the options of forward. scaling has no effect.

    Returns:
        x * (1 + sqrt(p / (1 - p)) * N), where N is a standard normal number for each element, or for each row with
        unit="row". A new array, or out.
    """
    return _calls.run("gaussian", p, {"x": x}, options, seed=seed, out=out)[0]
