# SPDX-License-Identifier: Apache-2.0
"""Dropout with packed masks, the same bits on every machine.

Data are arrays of float16, float32, float64 or bfloat16 (of ml_dtypes): NumPy arrays, or CPU
tensors of any framework that speaks DLPack, which are taken without a copy. They are contiguous of
any shape, or matrices whose rows are contiguous. Results are new NumPy arrays, or are written to
``out``, which may be such a tensor and may be the input itself, and which is then returned.

Masks are uint8, 1 bit an element, 1 = kept:

- flat, of ``ceil(n / 8)`` bytes: ``numpy.packbits(keep.ravel(), bitorder="little")``. This is what
  a call makes of contiguous arrays without a pitch.
- a row of ``ceil(cols / 8)`` bytes for each row of a matrix: ``numpy.packbits(keep, axis=1,
  bitorder="little")``. This is what a call makes if a row stride or a pitch is involved.

A mask that is passed decides by its number of dimensions. Both hold the same bytes where columns
are a multiple of 8; elsewhere a flat one is refused for matrices with strides or a pitch.

Which elements are kept depends on ``(seed, stream, offset, rounds, p)`` alone. Use one seed for a
run, one stream for each layer, and at each step advance offset by the element count of the call.

Arguments that all calls share:

- p: probability that an element is dropped, in [0, 1].
- seed, offset in [0, 2**64), stream in [0, 2**32). Element i of a call has the index offset + i of
  the stream, element (r, c) of a matrix offset + r * pitch + c.
- rounds: of Philox: 10, or 7, which is faster.
- scaling: "train" multiplies by 1/(1-p) in training, "infer" by 1-p at inference.
- stores: "auto", "cached" (the output is read again soon) or "streaming" (past the caches).
- isa: None or "auto" for that of BITDROP_ISA or the best of this CPU, or one of "scalar", "avx2", "avx512", "neon".
- pitch: columns of the whole matrix of which the given one is a part; None for its own.

A wrong argument raises BitdropError, which is a ValueError, TypeError or ImportError too, and nothing is written.
Calls release the GIL, and any thread may make them; an array must not change during its call.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy.typing as npt

from . import _arrays, _library
from ._arrays import Array
from ._dlpack import SupportsDLPack
from ._library import isa_default, isa_supported, mask_bytes, version
from .errors import BitdropError, BitdropTypeError, BitdropValueError, MissingPackageError

if TYPE_CHECKING:
    from typing_extensions import TypedDict, Unpack

    class _Apply(TypedDict, total=False):
        scaling: str
        stores: str
        isa: str | None

    class _Stream(_Apply, total=False):
        stream: int
        offset: int
        rounds: int
        pitch: int | None


__all__ = [
    "BitdropError",
    "BitdropTypeError",
    "BitdropValueError",
    "MissingPackageError",
    "SupportsDLPack",
    "backward",
    "forward",
    "infer",
    "isa_default",
    "isa_supported",
    "mask",
    "mask_bytes",
    "recompute",
    "version",
]
__version__ = version()

_Out = TypeVar("_Out", bound=Array)


def mask(
    shape: int | tuple[int, int],
    p: float,
    *,
    seed: int,
    stream: int = 0,
    offset: int = 0,
    rounds: int = 10,
    isa: str | None = None,
    out: Array | None = None,
    pitch: int | None = None,
) -> Any:
    """The mask alone: flat of n elements, or of (rows, cols) with a row of bytes for each row.

    Args:
        shape: n, or (rows, cols).
        p: see the module's description for this and all that follow.
        seed: key of the generator.
        stream: independent sequence under that seed.
        offset: index of the first element.
        rounds: 10 or 7.
        isa: None, or the one to use.
        out: uint8 of shape (ceil(n / 8),) or (rows, ceil(cols / 8)) to write to.
        pitch: columns of the whole matrix; of (rows, cols) only.

    Returns:
        A uint8 array of that shape, or out.
    """
    cfg = _library.config(p, seed=seed, stream=stream, offset=offset, rounds=rounds, isa=isa)
    try:
        dims = tuple(map(operator.index, shape if isinstance(shape, tuple) else (shape,)))
    except TypeError:
        dims = ()
    if len(dims) not in (1, 2) or any(not 0 <= d < 1 << 63 for d in dims):
        raise BitdropValueError(f"shape must be n or (rows, cols), not {shape!r}")
    if pitch is not None and len(dims) != 2:
        raise BitdropValueError("pitch is for matrices: pass (rows, cols) as shape")
    expected = (*dims[:-1], _arrays.row_bytes(dims[-1]))
    if out is not None and _arrays.mask_input(out, "out").shape != expected:
        raise BitdropValueError(f"out must have shape {expected} for a mask of shape {dims}")
    result, bits = _arrays.mask_output(out, expected, "out")
    if len(dims) == 1:
        _library.mask(cfg, dims[0], bits.address)
    else:
        rows = _arrays.shape_2d(dims, pitch, 0, 0, bits.row_stride or 0)
        _library.mask_2d(cfg, rows, bits.address)
    return result


@overload
def forward(
    x: Array, p: float, *, seed: int, mask: Array | None = None, **options: Unpack[_Stream]
) -> tuple[npt.NDArray[Any], Any]: ...
@overload
def forward(
    x: Array, p: float, *, seed: int, out: _Out, mask: Array | None = None,
    **options: Unpack[_Stream],
) -> tuple[_Out, Any]: ...  # fmt: skip
def forward(
    x: Array,
    p: float,
    *,
    seed: int,
    stream: int = 0,
    offset: int = 0,
    rounds: int = 10,
    scaling: str = "train",
    stores: str = "auto",
    isa: str | None = None,
    out: Array | None = None,
    mask: Array | None = None,
    pitch: int | None = None,
) -> tuple[Any, Any]:
    """The training step: dropout of x, and the mask that backward needs.

    Args:
        x: data.
        p: see the module's description for this and all up to pitch.
        seed: key of the generator.
        stream: independent sequence under that seed.
        offset: index of the first element.
        rounds: 10 or 7.
        scaling: "train" or "infer".
        stores: "auto", "cached" or "streaming".
        isa: None, or the one to use.
        out: array of x's shape and dtype to write to; may be x.
        mask: uint8 array to write the mask to, flat or with a row for each row of x.
        pitch: columns of the whole matrix that x is a part of.

    Returns:
        (y, mask): x / (1 - p) where kept and 0 elsewhere, and the mask; out and mask if given.
    """
    cfg = _library.config(
        p, seed=seed, stream=stream, offset=offset, rounds=rounds,
        scaling=scaling, stores=stores, isa=isa,
    )  # fmt: skip
    source = _arrays.data(x, "x")
    y, target = _arrays.output(out, source)
    n = source.size
    if len(source.shape) == 2 and _arrays.needs_rows(source, target, pitch):
        expected: tuple[int, ...] = (source.shape[0], _arrays.row_bytes(source.shape[1]))
    else:
        expected = (_arrays.row_bytes(n),)
    result, bits = _arrays.mask_output(mask, expected, "mask")
    rows = _arrays.matrix(source, target, bits, pitch)
    code = _arrays.CODES[source.dtype]
    if rows is None:
        _library.forward(cfg, code, n, source.address, target.address, bits.address)
    else:
        _library.forward_2d(cfg, code, rows, source.address, target.address, bits.address)
    return y, result


@overload
def backward(dy: Array, p: float, mask: Array, **options: Unpack[_Apply]) -> npt.NDArray[Any]: ...
@overload
def backward(dy: Array, p: float, mask: Array, *, out: _Out, **options: Unpack[_Apply]) -> _Out: ...
def backward(
    dy: Array,
    p: float,
    mask: Array,
    *,
    scaling: str = "train",
    stores: str = "auto",
    isa: str | None = None,
    out: Array | None = None,
) -> Any:
    """The backward pass of forward: dy / (1 - p) where the mask keeps, 0 elsewhere.

    Args:
        dy: gradient of forward's result.
        p: that of the forward pass.
        mask: what forward returned.
        scaling: "train" or "infer", that of the forward pass.
        stores: "auto", "cached" or "streaming".
        isa: None, or the one to use.
        out: array of dy's shape and dtype to write to; may be dy.

    Returns:
        The gradient of forward's input, or out.
    """
    cfg = _library.config(p, scaling=scaling, stores=stores, isa=isa)
    source = _arrays.data(dy, "dy")
    bits = _arrays.mask_input(mask)
    dx, target = _arrays.output(out, source)
    rows = _arrays.matrix(source, target, bits, None)
    code = _arrays.CODES[source.dtype]
    if rows is None:
        _library.backward(cfg, code, source.size, source.address, target.address, bits.address)
    else:
        _library.backward_2d(cfg, code, rows, source.address, target.address, bits.address)
    return dx


@overload
def recompute(x: Array, p: float, *, seed: int, **options: Unpack[_Stream]) -> npt.NDArray[Any]: ...
@overload
def recompute(x: Array, p: float, *, seed: int, out: _Out, **options: Unpack[_Stream]) -> _Out: ...
def recompute(
    x: Array,
    p: float,
    *,
    seed: int,
    stream: int = 0,
    offset: int = 0,
    rounds: int = 10,
    scaling: str = "train",
    stores: str = "auto",
    isa: str | None = None,
    out: Array | None = None,
    pitch: int | None = None,
) -> Any:
    """Forward without a mask; on dy with the same arguments, its backward pass.

    Args:
        x: data, or the gradient of an earlier call's result.
        p: see the module's description for this and all that follow.
        seed: key of the generator.
        stream: independent sequence under that seed.
        offset: index of the first element.
        rounds: 10 or 7.
        scaling: "train" or "infer".
        stores: "auto", "cached" or "streaming".
        isa: None, or the one to use.
        out: array of x's shape and dtype to write to; may be x.
        pitch: columns of the whole matrix that x is a part of.

    Returns:
        The first of what forward returns.
    """
    cfg = _library.config(
        p, seed=seed, stream=stream, offset=offset, rounds=rounds,
        scaling=scaling, stores=stores, isa=isa,
    )  # fmt: skip
    source = _arrays.data(x, "x")
    y, target = _arrays.output(out, source)
    rows = _arrays.matrix(source, target, None, pitch)
    code = _arrays.CODES[source.dtype]
    if rows is None:
        _library.recompute(cfg, code, source.size, source.address, target.address)
    else:
        _library.recompute_2d(cfg, code, rows, source.address, target.address)
    return y


@overload
def infer(x: Array, p: float, **options: Unpack[_Apply]) -> npt.NDArray[Any]: ...
@overload
def infer(x: Array, p: float, *, out: _Out, **options: Unpack[_Apply]) -> _Out: ...
def infer(
    x: Array,
    p: float,
    *,
    scaling: str = "train",
    stores: str = "auto",
    isa: str | None = None,
    out: Array | None = None,
) -> Any:
    """Inference: a copy of x, or with scaling="infer" x * (1 - p).

    Args:
        x: data.
        p: that of training.
        scaling: "train" or "infer", that of training.
        stores: "auto", "cached" or "streaming".
        isa: None, or the one to use.
        out: array of x's shape and dtype to write to; may be x.

    Returns:
        A new array, or out.
    """
    cfg = _library.config(p, scaling=scaling, stores=stores, isa=isa)
    source = _arrays.data(x, "x")
    y, target = _arrays.output(out, source)
    rows = _arrays.matrix(source, target, None, None)
    code = _arrays.CODES[source.dtype]
    if rows is None:
        _library.infer(cfg, code, source.size, source.address, target.address)
    else:
        _library.infer_2d(cfg, code, rows, source.address, target.address)
    return y
