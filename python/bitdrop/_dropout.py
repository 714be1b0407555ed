# SPDX-License-Identifier: Apache-2.0
"""The calls on data. The module's description in __init__.py says what all of them share."""

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


# ---- Plain.


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
    """The training step: dropout of x, and the mask that backward needs.

    Args:
        x: data.
        p: see the module's description for this, seed and all options.
        seed: key of the generator.
        out: array of x's shape and dtype to write to; may be x.
        mask: uint8 array to write the mask to.
        remade: keep no mask in memory: backward makes it again.
        **options: stream, offset, rounds, scaling, stores, isa, pitch, unit, mask_repeat, first_row.

    Returns:
        (y, mask): x / (1 - p) where kept and 0 elsewhere, and the mask, or None if remade; out and mask if given.
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
    """The backward pass of forward: dy / (1 - p) where the mask keeps, 0 elsewhere.

    Args:
        dy: gradient of forward's result.
        p: that of the forward pass, as are all options but stores and isa.
        mask: what forward returned.
        seed: that of the forward call, to make the bits again. Pass it instead of mask.
        out: array of dy's shape and dtype to write to; may be dy.
        **options: as those of forward. With a mask, stream and offset are not looked at.

    Returns:
        The gradient of forward's input, or out.
    """
    return _calls.backward("backward", p, {"dy": dy}, options, mask=mask, seed=seed, out=out)


@overload
def recompute(x: Array, p: float, *, seed: int, **options: Unpack[CallOptions]) -> npt.NDArray[Any]: ...
@overload
def recompute(x: Array, p: float, *, seed: int, out: _Out, **options: Unpack[CallOptions]) -> _Out: ...
def recompute(x: Array, p: float, *, seed: int, out: Array | None = None, **options: Unpack[CallOptions]) -> Any:
    """Forward without a mask; on dy with the same arguments, its backward pass.

    Args:
        x: data, or the gradient of an earlier call's result.
        p: see the module's description for this, seed and all options.
        seed: key of the generator.
        out: array of x's shape and dtype to write to; may be x.
        **options: as those of forward.

    Returns:
        The first of what forward returns.
    """
    return _calls.run("recompute", p, {"x": x}, options, seed=seed, out=out)[0]


@overload
def infer(x: Array, p: float, **options: Unpack[InferOptions]) -> npt.NDArray[Any]: ...
@overload
def infer(x: Array, p: float, *, out: _Out, **options: Unpack[InferOptions]) -> _Out: ...
def infer(x: Array, p: float, *, out: Array | None = None, **options: Unpack[InferOptions]) -> Any:
    """Inference: a copy of x, or with scaling="infer" x * (1 - p).

    Args:
        x: data.
        p: that of training.
        out: array of x's shape and dtype to write to; may be x.
        **options: scaling, which is that of training, stores, isa.

    Returns:
        A new array, or out.
    """
    return _calls.run("infer", p, {"x": x}, options, out=out)[0]


# ---- With a bias before and a residual after.


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
        x: data.
        p: see the module's description for this, seed and all options.
        bias: a value for each column, added before dropout.
        residual: array of x's shape and dtype, added after dropout.
        seed: key of the generator.
        out: array of x's shape and dtype to write to; may be x or residual.
        mask: uint8 array to write the mask to.
        remade: keep no mask in memory: backward_add makes it again.
        **options: as those of forward.

    Returns:
        (y, mask): the sum, and the mask, or None if remade; out and mask if given.
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
    """The sum of residual and the backward pass of dropout. With residual and out the same array, it accumulates.

    The gradient of forward_add's residual is dy itself, and that of its bias is the sum of the result over rows.

    Args:
        dy: gradient of the forward call's result.
        p: that of the forward pass, as are all options but stores and isa.
        mask: what the forward call returned.
        residual: array of dy's shape and dtype, added to the gradient.
        seed: that of the forward call, to make the bits again. Pass it instead of mask.
        out: array of dy's shape and dtype to write to; may be dy or residual.
        **options: as those of backward.

    Returns:
        The sum, or out.
    """
    inputs = {"dy": dy, "residual": residual}
    return _calls.backward("backward_add", p, inputs, options, mask=mask, seed=seed, out=out)


# ---- With an activation before.


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
    """dropout(act(x + bias)), and what backward_act needs.

    Args:
        x: data.
        act: "relu", whose mask has a 1 where x + bias is both kept and positive: one bit an element in any case;
            or "gelu", "gelu_tanh" or "silu".
        p: see the module's description for this, seed and all options.
        bias: a value for each column, added before the activation.
        seed: key of the generator.
        out: array of x's shape and dtype to write to; may be x.
        mask: uint8 array to write the mask to.
        remade: keep no mask in memory: backward_act makes it again from seed, x and bias.
        **options: as those of forward.

    Returns:
        (y, mask): the result, and the mask, or None if remade; out and mask if given.
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
        dy: gradient of the forward call's result.
        act: that of the forward call.
        p: that of the forward pass, as are all options but stores and isa.
        mask: what the forward call returned; with "relu" x and bias are not looked at then.
        x: that of the forward call; with "relu" only if seed is passed instead of mask.
        bias: that of the forward call, likewise.
        seed: that of the forward call, to make the bits again. Pass it instead of mask.
        out: array of dy's shape and dtype to write to; may be dy or x.
        **options: as those of backward.

    Returns:
        The gradient of x, or out.
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
    """Alpha dropout, for SELU networks (Klambauer et al., 2017): data of mean 0 and variance 1 keep both.

    Args:
        x: data.
        p: see the module's description for this, seed and all options.
        seed: key of the generator.
        out: array of x's shape and dtype to write to; may be x.
        mask: uint8 array to write the mask to.
        remade: keep no mask in memory: backward_alpha makes it again.
        **options: as those of forward; scaling has no effect.

    Returns:
        (y, mask): a * x + b where kept and the constant d elsewhere, and the mask, or None if remade; out and mask
        if given. docs/reference.md has a, b and d.
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
    """The backward pass of forward_alpha: a * dy where the mask keeps, 0 elsewhere.

    Args:
        dy: gradient of the forward call's result.
        p: that of the forward pass, as are all options but stores and isa.
        mask: what the forward call returned.
        seed: that of the forward call, to make the bits again. Pass it instead of mask.
        out: array of dy's shape and dtype to write to; may be dy.
        **options: as those of backward.

    Returns:
        The gradient of x, or out.
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
    """dropout(softmax(scale * x + bias)) of each row, and what backward_softmax needs.

    Args:
        x: data, whose last dimension is the columns.
        p: see the module's description for this, seed and all options.
        scale: factor of x; not 0.
        bias: array of x's dtype and last dimension, added to scale * x; -inf hides. Its other dimensions broadcast to
            those of x: one group of neighbours may be 1 or, in front, left out.
        bias_block: with bias_repeat, the rows that the bias has for the rows of the whole, in the place of
            broadcasting: row R takes row R // (bias_block * bias_repeat) * bias_block + R % bias_block.
        bias_repeat: see bias_block; None for 1.
        causal_rows: if not 0, row R sees columns c <= causal_first + R % causal_rows only.
        causal_first: see causal_rows.
        seed: key of the generator.
        out: array of x's shape and dtype to write to; may be x.
        prob: array of x's shape and dtype for the softmax; may be x unless out is. True for a new one, and False if
            it is not wanted.
        lse: array of x's shape without the columns. It receives the logarithms of the sums of exp. Its dtype is
            float64 if x has it, else float32.
        mask: uint8 array to write the mask to.
        remade: keep no mask in memory: backward_softmax makes it again.
        **options: as those of forward.

    Returns:
        (y, prob, mask): the result, the softmax or None if it is not wanted, and the mask, or None if remade; out,
        prob and mask if given.
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
        dy: gradient of the forward call's result.
        p: that of the forward pass, as are all options but stores and isa.
        mask: what the forward call returned.
        prob: what the forward call returned.
        scale: that of the forward call.
        causal_rows: that of the forward call.
        causal_first: that of the forward call.
        seed: that of the forward call, to make the bits again. Pass it instead of mask.
        out: array of dy's shape and dtype to write to; may be dy or prob.
        **options: as those of backward.

    Returns:
        The gradient of x, or out.
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
    """Gaussian dropout (Srivastava et al., 2014, section 10); on dy with the same arguments, its backward pass.

    Args:
        x: data, or the gradient of an earlier call's result.
        p: the noise has the variance p / (1 - p); below 1.
        seed: key of the generator.
        out: array of x's shape and dtype to write to; may be x.
        **options: as those of forward; scaling has no effect.

    Returns:
        x * (1 + sqrt(p / (1 - p)) * N), where N is standard normal, a number for each element, or with unit="row" for
        each row; out if given.
    """
    return _calls.run("gaussian", p, {"x": x}, options, seed=seed, out=out)[0]
