# SPDX-License-Identifier: Apache-2.0
"""dropout of DTensors: each rank drops the elements of its shard that one device would drop of the whole tensor."""

import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import _library
from . import _kernels
from ._eager import draw_seed

_c_forward = _kernels.unchecked("bitdrop_forward_2d")


def is_dtensor(x: Tensor) -> bool:
    """Whether x is a DTensor. Does not import torch.distributed.tensor, because that takes long."""
    return type(x) is not Tensor and isinstance(x, getattr(sys.modules.get("torch.distributed.tensor"), "DTensor", ()))


class _Piece(NamedTuple):
    """Elements of a shard in row-major order. Element (r, c) has the index offset + r * pitch + c in the whole."""

    rows: int
    cols: int
    pitch: int
    offset: int


def _pieces(whole: Sequence[int], shard: Sequence[int], first: Sequence[int]) -> Iterator[_Piece]:
    """The pieces of a shard, in the order in which they follow one another in memory.

    whole and shard are shapes, and first is the multi-dimensional index in the whole at which the shard begins. There
    is one piece if no more than the first dimension and one other dimension are cut.
    """
    strides = [math.prod(whole[dim + 1 :]) for dim in range(len(whole))]
    cut = [0, 0, *(dim for dim, size in enumerate(whole) if shard[dim] != size)]
    outer, inner = cut[-2:]  # the last two dimensions that are cut
    rows, cols = math.prod(shard[outer:inner]), math.prod(shard[inner:])
    pitch = math.prod(whole[inner:])
    for index in itertools.product(*map(range, shard[:outer])):
        place = [begin + i for begin, i in itertools.zip_longest(first, index, fillvalue=0)]
        yield _Piece(rows, cols, pitch, sum(i * stride for i, stride in zip(place, strides, strict=True)))


def _recompute(x: Tensor, seed: int, p: float, pieces: Sequence[_Piece]) -> Tensor:
    """The result. If x is dy, this is the gradient."""
    if not x.is_contiguous():
        return torch.empty_like(x).copy_(_recompute(x.contiguous(), seed, p, pieces))
    y = torch.empty_like(x)
    done = 0
    for rows, cols, pitch, offset in pieces:
        config = _library.Config(p, seed, offset=offset, mask_use=_library.MASK_REMADE)
        shape = _library.Shape2D(rows, cols, pitch)
        _alive = _kernels.share(config) if rows * cols >= _kernels.SHARED else None
        at = done * y.element_size()
        arguments = (config, _kernels.DTYPES[x.dtype], shape, x.data_ptr() + at, y.data_ptr() + at, None)
        if status := _c_forward(*arguments):
            _library.raise_status(status, _c_forward, arguments)
        done += rows * cols
    return y


class _Sharded(torch.autograd.Function):
    """Dropout of the local tensor. It is linear in x, so the derivative is the same function."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, seed: int, p: float, pieces: Sequence[_Piece]) -> Tensor:
        ctx.rest = seed, p, pieces
        return _recompute(x, *ctx.rest)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None, None]:
        _ = ctx.saved_tensors  # empty, but this makes PyTorch refuse a second pass without retain_graph
        return _Sharded.apply(dy, *ctx.rest), None, None, None


def _common_seed(mesh: Any, generator: torch.Generator | None) -> int:
    """The seed that the first rank of the mesh draws. All ranks draw one, so that equal generators stay equal."""
    seed = torch.tensor(draw_seed(generator))
    for dim in range(mesh.ndim):
        group = mesh.get_group(dim)
        torch.distributed.broadcast(seed, torch.distributed.get_global_rank(group, 0), group)
    return int(seed.item())


def refused_placements(x: Any) -> list[Any]:
    """The placements of the DTensor x that dropout does not support."""
    from torch.distributed.tensor import Replicate, Shard

    return [place for place in x.placements if not place.is_partial() and type(place) not in (Replicate, Shard)]


@torch.compiler.disable  # type: ignore[untyped-decorator]
def dropout(x: Any, p: float, inplace: bool, generator: torch.Generator | None) -> Tensor:
    """Dropout of a DTensor in training. Only the seed is kept for the backward pass. All ranks have the same seed."""
    from torch.distributed.tensor import DTensor, Replicate
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    if refused := refused_placements(x):
        raise NotImplementedError(
            f"bitdrop: dropout supports a DTensor with Shard, Replicate and Partial, and this one has {refused[0]}: "
            ".redistribute() it first"
        )
    # A partial sum is reduced first, so that the scale rounds the sum and not its terms. Without partial placements
    # nothing is redistributed: on a mesh of two dimensions, PyTorch 2.7 cannot differentiate that.
    whole = x
    if any(place.is_partial() for place in x.placements):
        whole = x.redistribute(placements=[Replicate() if place.is_partial() else place for place in x.placements])
    local = whole.to_local()
    mesh, placements = whole.device_mesh, whole.placements
    shape, first = compute_local_shape_and_global_offset(whole.shape, mesh, placements)
    seed = _common_seed(mesh, generator)
    if local.numel():
        local = _Sharded.apply(local, seed, float(p), tuple(_pieces(whole.shape, shape, first)))
    y = DTensor.from_local(local, mesh, placements, run_check=False, shape=whole.shape, stride=whole.stride())
    return x.copy_(y) if inplace else y
