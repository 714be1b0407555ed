# SPDX-License-Identifier: Apache-2.0
"""Compares attention, forward and backward, of bitdrop.torch and of PyTorch, in one process.

It needs a Python that has both. `./dev test engines` installs one:

    build/engines-venv/bin/python bench/peers/attention.py [threads ...]

Prints a table of median milliseconds for each number of threads (1 and 2 by default). The two take turns. A step that
is not timed comes before each timed step. Both allocate the tensors that they return. PyTorch uses its fused kernel
("flash") only without dropout. BITDROP_ISA=avx2 and ATEN_CPU_CAPABILITY=avx2 run both as on an older CPU. Add
--dtypes=float32 then, because PyTorch refuses bfloat16 there.
"""

import argparse
import statistics
import time

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

import bitdrop
import bitdrop.torch

CASES = [  # batch, heads, rows, elements of a row, causal
    (8, 12, 128, 64, False),
    (4, 12, 512, 64, False),
    (1, 12, 2048, 64, True),
]
WAYS = {
    "bitdrop": bitdrop.torch.scaled_dot_product_attention,
    "PyTorch": scaled_dot_product_attention,
}
Column = tuple[str, float]
COLUMNS: list[Column] = [(way, p) for way in WAYS for p in (0.1, 0.0)]
PAUSE = 0.25  # seconds; after a step, threads of PyTorch may spin for some time before they sleep


class Step:
    def __init__(self, way: str, p: float, q: Tensor, k: Tensor, v: Tensor, dout: Tensor, causal: bool) -> None:
        self.inputs = [x.detach().clone().requires_grad_() for x in (q, k, v)]
        self.attend, self.p, self.dout, self.causal = WAYS[way], p, dout, causal

    def run(self) -> None:
        for x in self.inputs:
            x.grad = None
        self.attend(*self.inputs, dropout_p=self.p, is_causal=self.causal).backward(self.dout)


def measure(steps: dict[Column, Step], turns: int) -> dict[Column, float]:
    """Median milliseconds of each step."""
    times: dict[Column, list[float]] = {column: [] for column in steps}
    for _ in range(turns):
        for column, step in steps.items():
            time.sleep(PAUSE)
            step.run()
            begin = time.perf_counter()
            step.run()
            times[column].append(1e3 * (time.perf_counter() - begin))
    return {column: statistics.median(t) for column, t in times.items()}


def largest_difference(ours: Step, theirs: Step) -> float:
    return max((a.grad - b.grad).abs().max().item() for a, b in zip(ours.inputs, theirs.inputs, strict=True))


def table(threads: int, turns: int, dtypes: list[torch.dtype]) -> None:
    torch.set_num_threads(threads)
    print(f"\n{threads} thread(s)\n")
    names = [f"{way} p = {p:g}" for way, p in COLUMNS]
    print("| batch, heads, rows | dtype | " + " | ".join(names), end="")
    print(" | bitdrop p = 0.1 / PyTorch p = 0.1, p = 0 | p = 0.1 / 0 |")
    print("|---|---|" + "---|" * (len(names) + 2))
    for dtype in dtypes:
        for batch, heads, rows, dim, causal in CASES:
            x = [torch.randn(batch, heads, rows, dim).to(dtype) for _ in range(4)]
            steps = {column: Step(*column, *x, causal) for column in COLUMNS}
            times = measure(steps, turns)
            assert largest_difference(steps["bitdrop", 0.0], steps["PyTorch", 0.0]) < 0.1
            ours = times["bitdrop", 0.1]
            print(
                f"| {batch}, {heads}, {rows}{' causal' if causal else ''} | {str(dtype).removeprefix('torch.')} | "
                + " | ".join(f"{times[column]:.1f}" for column in COLUMNS)
                + f" | {ours / times['PyTorch', 0.1]:.3f}, {ours / times['PyTorch', 0.0]:.2f}"
                + f" | {ours / times['bitdrop', 0.0]:.3f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--turns", type=int, default=5, help="timed runs of each (default: 5)")
    parser.add_argument("--dtypes", default="float32,bfloat16", help="(default: %(default)s)")
    options = parser.parse_args()
    print(f"PyTorch {torch.__version__}, bitdrop {bitdrop.__version__}")
    for threads in options.threads:
        table(threads, options.turns, [getattr(torch, name) for name in options.dtypes.split(",")])


if __name__ == "__main__":
    main()
