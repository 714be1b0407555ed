# SPDX-License-Identifier: Apache-2.0
"""Dropout over the ranks of torch.distributed: the shards have the same bits as the whole tensor on one rank.

    python examples/ddp.py [ranks]

Each rank computes dropout of its own shard, and needs only the place of the shard in the whole
tensor (docs/distributed.md). Shards are rows, as in data parallel training, and columns, as in
tensor parallel training. The ranks gather values and gradients and compare them with those of the
whole tensor. All ranks are processes on this machine.
"""

import os
import socket
import sys
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

import bitdrop

BATCH, FEATURES, STEPS, P = 64, 480, 3, 0.1
RUN = {"seed": 42, "stream": 5}  # one seed for a training run, one stream for each layer


class ShardDropout(torch.autograd.Function):
    """Dropout of a shard. `where` has its offset and, if the shard is columns, the pitch of the whole tensor.

    No mask is kept for the backward pass: the same call on the gradient makes the same mask again.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, p: float, where: dict[str, int]) -> torch.Tensor:
        ctx.p, ctx.where = p, where
        return bitdrop.recompute(x.detach(), p, out=torch.empty_like(x), **RUN, **where)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        dy = dy.contiguous()
        return bitdrop.recompute(dy, ctx.p, out=torch.empty_like(dy), **RUN, **ctx.where), None, None


def values_and_gradient(x: torch.Tensor, where: dict[str, int]) -> torch.Tensor:
    """The result of the forward pass and the gradient of x, stacked."""
    x = x.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    y = ShardDropout.apply(x, P, where)
    y.square().sum().backward()
    return torch.stack([y.detach(), x.grad])


def gather(part: torch.Tensor, dim: int) -> torch.Tensor:
    parts = [torch.empty_like(part) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, part)
    return torch.cat(parts, dim)


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a.view(torch.int32), b.view(torch.int32))


def worker(rank: int, ranks: int) -> None:
    dist.init_process_group("gloo", rank=rank, world_size=ranks)
    rows, cols = BATCH // ranks, FEATURES // ranks
    for step in range(STEPS):
        begin = step * BATCH * FEATURES  # first index of this step in the stream
        x = torch.randn(BATCH, FEATURES, generator=torch.Generator().manual_seed(step))
        whole = values_and_gradient(x, {"offset": begin})

        mine = values_and_gradient(x[rank * rows :][:rows], {"offset": begin + rank * rows * FEATURES})
        by_rows = gather(mine, 1)
        mine = values_and_gradient(x[:, rank * cols :][:, :cols], {"offset": begin + rank * cols, "pitch": FEATURES})
        by_columns = gather(mine, 2)

        kept = (by_rows[0] != 0).view(ranks, -1)
        distinct = len({tuple(k.tolist()) for k in kept}) == ranks
        right = same_bits(by_rows, whole) and same_bits(by_columns, whole) and distinct
        if rank == 0:
            have = "have" if right else "DO NOT have"
            print(f"step {step}, {ranks} ranks: shards by rows and by columns {have} the bits of the whole")
        if not right:
            raise SystemExit(1)
    dist.destroy_process_group()


def main() -> None:
    ranks = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    if ranks < 1 or BATCH % ranks != 0 or FEATURES % ranks != 0:
        raise SystemExit(f"ddp.py: {ranks} ranks do not divide a batch of {BATCH} and {FEATURES} features")
    with socket.create_server(("127.0.0.1", 0)) as free:  # a port that nobody uses
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free.getsockname()[1]))
    mp.spawn(worker, (ranks,), nprocs=ranks)


if __name__ == "__main__":
    main()
