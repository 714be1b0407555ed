# SPDX-License-Identifier: Apache-2.0
"""Dropout with packed masks, the same bits on every machine.

Data are arrays of float16, float32, float64 or bfloat16 (of ml_dtypes): NumPy arrays, or CPU
tensors of any framework that speaks DLPack, which are taken without a copy. They are contiguous of
any shape, or matrices whose rows are contiguous; attention says what it takes. Results are new
NumPy arrays, or are written to ``out``, which may be such a tensor, and which is then returned. It
may be the input itself, except in attention.

- forward, backward, recompute, infer: dropout alone.
- forward_add, backward_add: with a bias before it and a residual after it.
- forward_act, backward_act: with an activation before it.
- forward_softmax, backward_softmax: with a softmax of each row before it, for attention.
- attention, attention_backward: attention with dropout on its probabilities, none of which is kept.
- forward_alpha, backward_alpha: alpha dropout, for networks of SELU.
- gaussian: multiplicative Gaussian noise.
- math: where softmax, the activations except "relu", and noise take exp and its like from, SLEEF or libm.
- mask, mask_dropblock: a mask alone. mask_count, mask_unpack, mask_pack: what it says.

Rows and columns. The last dimension of an array is its columns, and the others together are its
rows: an array of shape (2, 3, 4) has 6 rows of 4 columns.

Masks are uint8, 1 bit an element, 1 = kept:

- flat, of ``ceil(n / 8)`` bytes: ``numpy.packbits(keep.ravel(), bitorder="little")``. This is what
  a call makes of contiguous arrays where nothing speaks of rows.
- a row of ``ceil(cols / 8)`` bytes for each row: ``numpy.packbits(keep, axis=1, bitorder="little")``.
  This is what attention makes, and a call in which a row stride, a bias, softmax, pitch, mask_repeat or first_row is
  involved.
- with ``unit="row"`` flat, and 1 bit a row.

A mask that is passed decides by its number of dimensions. The first two hold the same bytes where
columns are a multiple of 8. Elsewhere a flat mask is refused if rows are involved.

With ``remade=True`` no mask is kept in memory. The backward call then takes the seed instead of the
mask, and the options of the forward call, and makes the bits again.

Which elements are kept depends on ``(seed, stream, offset, rounds, p)`` alone. Use one seed for a
run, one stream for each layer, and at each step advance offset by the indices that the call used:
its elements, or where rows share decisions ceil(rows / mask_repeat) * cols, or for whole rows
ceil(rows / mask_repeat).

Arguments that calls share:

- p: probability that an element is dropped, in [0, 1].
- seed, offset in [0, 2**64), stream in [0, 2**32). Element i of a call has the index offset + i of
  the stream, element (r, c) of a matrix offset + r * pitch + c.
- rounds: of Philox: 10, or 7, which is faster.
- scaling: "train" multiplies by 1/(1-p) in training, "infer" by 1-p at inference.
- stores: "auto", "cached" (the output is read again soon) or "streaming" (past the caches).
- isa: None or "auto" for that of BITDROP_ISA or the best of this CPU, or one of "scalar", "avx2", "avx512", "neon".
- pitch: columns of the whole matrix of which the given one is a part; None for its own.
- unit: "element", or "row" for one decision about each row: channels (reshape to N * C rows) or samples.
- mask_repeat: so many rows in succession share the decisions of one mask row.
- first_row: row of the whole matrix at which the given part begins. With mask_repeat and first_row,
  row r takes mask row m = (first_row + r) // mask_repeat, so that element (r, c) has the index
  offset + m * pitch + c, and with unit="row" offset + m.

A wrong argument raises BitdropValueError or BitdropTypeError, and nothing is written. BitdropMemoryError says that
there is no memory for a result. These are BitdropErrors, and the ValueError, TypeError and MemoryError of Python too.
Calls release the GIL, and any thread may make them; an array must not change during its call.
"""

from __future__ import annotations

from ._attention import attention, attention_backward
from ._dlpack import SupportsDLPack
from ._dropout import (
    backward,
    backward_act,
    backward_add,
    backward_alpha,
    backward_softmax,
    forward,
    forward_act,
    forward_add,
    forward_alpha,
    forward_softmax,
    gaussian,
    infer,
    recompute,
)
from ._library import isa_default, isa_supported, mask_bytes, math, version
from ._masks import mask, mask_count, mask_dropblock, mask_pack, mask_unpack
from .errors import BitdropError, BitdropMemoryError, BitdropTypeError, BitdropValueError, MissingPackageError

__all__ = [
    "BitdropError",
    "BitdropMemoryError",
    "BitdropTypeError",
    "BitdropValueError",
    "MissingPackageError",
    "SupportsDLPack",
    "attention",
    "attention_backward",
    "backward",
    "backward_act",
    "backward_add",
    "backward_alpha",
    "backward_softmax",
    "forward",
    "forward_act",
    "forward_add",
    "forward_alpha",
    "forward_softmax",
    "gaussian",
    "infer",
    "isa_default",
    "isa_supported",
    "mask",
    "mask_bytes",
    "mask_count",
    "mask_dropblock",
    "mask_pack",
    "mask_unpack",
    "math",
    "recompute",
    "version",
]
__version__ = version()
