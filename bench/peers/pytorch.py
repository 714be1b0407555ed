#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the dropout of PyTorch with one thread, and prints the columns of ./dev bench --quick.

usage: pytorch.py path/to/bitdrop-bench
"""

import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial

warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
try:
    import torch
    from torch.nn.functional import dropout
except ImportError as error:
    sys.exit(
        f"{sys.executable} cannot import torch ({error}). To install it, run in a virtual environment:\n"
        "    pip install torch==2.13.0"
    )

N = 65536
P = 0.1
DTYPES = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16}
BATCH_SECONDS = 1e-3  # at least
SECONDS = 0.5


def bitdrop_limits(program: str) -> dict[str, float]:
    """Measure and print bitdrop's rows, and return the seconds of the limit for each dtype."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run(
            [program, "--quick", f"--filter=^(forward|backward)/.*/p={P}/", f"--json={out.name}"], check=True
        )
        runs = json.load(out)["benchmarks"]
    return {dtype: min(run["limit_seconds"] for run in runs if f"/{dtype}/" in run["name"]) for dtype in DTYPES}


def seconds_of(call: Callable[[], object]) -> float:
    """Seconds of a call: the 10th percentile of batches, as in bench/measure.c."""

    def batch(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return time.perf_counter() - start

    calls = 1
    while batch(calls) < BATCH_SECONDS:
        calls *= 2
    samples = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        samples.append(batch(calls) / calls)
    return sorted(samples)[len(samples) // 10]


def print_row(operation: str, dtype: str, size: int, seconds: float, limit: float) -> None:
    print(
        f"{'torch':7} {operation:18} {dtype:5} {P:5g} {1e9 * seconds / N:11.3f} "
        f"{2e-9 * N * size / seconds:8.1f} {100 * limit / seconds:7.0f} %",
        flush=True,
    )


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    limits = bitdrop_limits(sys.argv[1])
    torch.set_num_threads(1)
    for dtype, kind in DTYPES.items():
        x = torch.ones(N, dtype=kind, requires_grad=True)
        dy = torch.ones(N, dtype=kind)
        y = dropout(x, P, training=True)
        size = x.element_size()
        forward = seconds_of(partial(dropout, x, P, training=True))
        print_row("forward", dtype, size, forward, limits[dtype])
        backward = seconds_of(partial(torch.autograd.grad, y, x, dy, retain_graph=True))
        print_row("backward", dtype, size, backward, limits[dtype])
    print(f"\nPyTorch {torch.__version__}. The GB/s of its rows count x and y, but not the mask.")


if __name__ == "__main__":
    main()
