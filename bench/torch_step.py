# SPDX-License-Identifier: Apache-2.0
"""Compares F.dropout with bitdrop.torch.dropout: forward + backward, in one process, in turns.

python bench/torch_step.py [--threads 1] [--p 0.1] [--rounds 15]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

import bitdrop.torch

SIZES = (1024, 65_536, 1_048_576, 16_777_216)
NAMES = ("F.dropout", "bitdrop", "recompute")


def step(dropout: Callable[[Tensor], Tensor], x: Tensor, dy: Tensor) -> None:
    """One forward and one backward pass."""
    x.grad = None
    dropout(x).backward(dy)


def measure(n: int, dtype: torch.dtype, p: float, rounds: int) -> list[float]:
    """Median microseconds of a forward and a backward pass, in the order of NAMES."""
    x = torch.randn(n, dtype=dtype, requires_grad=True)
    dy = torch.randn(n, dtype=dtype)
    ways: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda x: F.dropout(x, p),
        lambda x: bitdrop.torch.dropout(x, p),
        lambda x: bitdrop.torch.dropout(x, p, recompute=True),
    )
    calls = max(3, 500_000 // n)  # several milliseconds a round for F.dropout
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds + 1):
        for way, samples in zip(ways, times, strict=True):
            step(way, x, dy)  # not timed, because the way before has changed what memory is free and what is cached
            start = time.perf_counter()
            for _ in range(calls):
                step(way, x, dy)
            samples.append((time.perf_counter() - start) / calls * 1e6)
    return [statistics.median(samples[1:]) for samples in times]  # the first round warms up


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--p", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"PyTorch {torch.__version__}, {args.threads} thread(s), p = {args.p}; us of forward + backward")
    print(f"{'dtype':>9} {'n':>10}" + "".join(f"{name:>12}" for name in NAMES) + f"{'faster':>9}{'':>9}")
    for dtype in (torch.float32, torch.bfloat16):
        for n in SIZES:
            us = measure(n, dtype, args.p, args.rounds)
            row = "".join(f"{t:12.1f}" for t in us) + "".join(f"{us[0] / t:8.2f}x" for t in us[1:])
            print(f"{str(dtype)[6:]:>9} {n:10}{row}", flush=True)


if __name__ == "__main__":
    main()
