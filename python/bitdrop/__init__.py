# SPDX-License-Identifier: Apache-2.0
"""Dropout with packed masks, the same bits on every machine.

Inputs are arrays of float16, float32, float64 or bfloat16 (of the package ml_dtypes): NumPy arrays,
or CPU tensors of any framework that supports DLPack. They are used without a copy. An array must be
contiguous, or a matrix whose rows are contiguous. attention accepts other strides too. A call
returns new NumPy arrays, or it writes to ``out`` and returns that. ``out`` may be a DLPack tensor.
It may be the input itself, except in attention.

- forward, backward, recompute, infer: dropout alone.
- forward_add, backward_add: add a bias before dropout and a residual after it.
- forward_act, backward_act: apply an activation before dropout.
- forward_softmax, backward_softmax: apply a softmax to each row before dropout, for attention.
- attention, attention_backward: attention with dropout, without an array of all probabilities.
- forward_alpha, backward_alpha: alpha dropout, for networks with SELU activations.
- gaussian: multiplicative Gaussian noise.
- mask, mask_dropblock: make a mask alone. mask_count counts its ones. mask_unpack and mask_pack
  convert a mask to booleans and back.
- math: names the library that computes exp and similar functions, SLEEF or libm. Softmax, attention,
  Gaussian noise and all activations except "relu" call it.
- isa_default, isa_supported: the instruction sets. mask_bytes: the size of a mask. version: that of the library.

Rows and columns. The last dimension of an array is its columns. All other dimensions together are
its rows: an array of shape (2, 3, 4) has 6 rows of 4 columns.

Masks are uint8 arrays with 1 bit for each element. A 1 means that the element is kept. There are
three layouts:

- flat, ``ceil(n / 8)`` bytes: ``numpy.packbits(keep.ravel(), bitorder="little")``. A call makes
  this mask if all its arrays are contiguous and the next item does not apply.
- by rows, ``ceil(cols / 8)`` bytes for each row: ``numpy.packbits(keep, axis=1, bitorder="little")``.
  attention makes this mask, and so does each call with a row stride, a bias, softmax, pitch,
  mask_repeat or first_row. With mask_repeat, only rows with decisions of their own are in the mask.
- flat with 1 bit for each row: calls with ``unit="row"`` make this mask.

The mask of forward_act with "relu" always has one bit for each element of x.

If you pass a mask, its number of dimensions says whether it is flat or by rows. If the number of
columns is a multiple of 8, both have the same bytes. If not, a call that makes masks by rows refuses
a flat mask.

With ``remade=True`` a forward call keeps no mask in memory. Pass the seed instead of the mask to the
backward call, with the options of the forward call: it makes the bits again.

Whether an element is kept depends on ``(seed, stream, rounds, p)`` and on the element's index alone.
Use one seed for a training run and one stream for each layer. At each step, advance offset by the
indices that the whole tensor used: the number of its elements; ceil(rows / mask_repeat) * cols if
rows share decisions; ceil(rows / mask_repeat) with unit="row"; or
batch * heads * queries * keys for attention.

Arguments that calls share:

- p: probability that an element is dropped, a number in [0, 1].
- seed, offset, stream: integers. seed and offset are in [0, 2**64), and stream is in [0, 2**32).
  Element i of a flat call has the index offset + i. Element (r, c) of a matrix has the index
  offset + r * pitch + c.
- rounds: rounds of Philox, 10 or 7. 7 is faster.
- scaling: "train" multiplies kept elements by 1/(1-p) in training. "infer" multiplies all elements
  by 1-p at inference instead.
- stores: "auto", "cached" (the output is read again soon) or "streaming" (writes bypass the caches).
- isa: instruction set, one of "scalar", "avx2", "avx512", "neon". None or "auto" is the one that the
  environment variable BITDROP_ISA names, or else the best of this CPU.
- pitch: number of columns of the whole matrix, if x is only some of its columns. None: those of x.
- unit: "element", or "row" to keep or drop each row as a whole. Rows are channels (reshape to N * C
  rows) or samples.
- mask_repeat: number of successive rows that share the decisions of one mask row.
- first_row: row of the whole matrix at which x begins. Row r of x uses the mask row
  m = (first_row + r) // mask_repeat. Element (r, c) has the index offset + m * pitch + c, and with
  unit="row" the index offset + m.

A wrong argument raises BitdropValueError or BitdropTypeError, and no output is written.
BitdropMemoryError means that there is not enough memory for a result. MissingPackageError means that
a result of bfloat16 needs ml_dtypes. All of them are BitdropErrors. They are also Python's
ValueError, TypeError, MemoryError and ImportError. Calls release the GIL, and any thread may make
them. An array must not change during a call that uses it.
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
