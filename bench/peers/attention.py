# SPDX-License-Identifier: Apache-2.0
"""Attention, forward and backward, by bitdrop's Python calls and by PyTorch, in one process.

It needs a Python that has both, as `./dev test engines` makes it:

    build/engines-venv/bin/python bench/peers/attention.py [threads ...]

Prints a table of milliseconds for each number of threads (1 and 2 by default): medians. The ways take turns, and each
timed run follows one that is not timed. bitdrop writes into tensors that exist, PyTorch allocates its own in each run. PyTorch takes its fused kernel ("flash") only without dropout. bitdrop's threads have some
of the heads each, as parts of the whole.
"""

import argparse
import concurrent.futures
import statistics
import time

import torch
from torch.nn.functional import scaled_dot_product_attention

import bitdrop

CASES = [  # batch, heads, rows, elements of a row, causal
    (8, 12, 128, 64, False),
    (4, 12, 512, 64, False),
    (1, 12, 2048, 64, True),
]
DTYPES = [torch.float32, torch.bfloat16]
PAUSE = 0.25  # seconds for which threads of PyTorch may go on to wait without sleeping


def parts(heads, threads):
    """Heads of each thread."""
    threads = min(threads, heads)
    edges = [heads * i // threads for i in range(threads + 1)]
    return [slice(a, b) for a, b in zip(edges, edges[1:])]


class Bitdrop:
    def __init__(self, pool, threads, q, k, v, dout, causal, p, isa):
        self.pool, self.x, self.causal, self.p, self.isa = pool, (q, k, v, dout), causal, p, isa
        self.parts = parts(q.shape[1], threads)
        self.step = 0
        self.out = torch.empty_like(q)
        self.grads = [torch.empty_like(x) for x in (q, k, v)]

    def options(self, part):
        _, heads, rows, _ = self.x[0].shape
        offset = (self.step * self.x[0].shape[0] * heads + part.start) * rows * rows
        return {"seed": 1, "causal": self.causal, "isa": self.isa, "index_heads": heads, "offset": offset}

    def forward(self):
        self.step += 1
        q, k, v, _ = self.x

        def run(part):
            at = (slice(None), part)
            return bitdrop.attention(q[at], k[at], v[at], self.p, out=self.out[at], **self.options(part))[1]

        self.lse = list(self.pool.map(run, self.parts))

    def backward(self):
        q, k, v, dout = self.x

        def run(part, lse):
            at = (slice(None), part)
            dq, dk, dv = (g[at] for g in self.grads)
            bitdrop.attention_backward(
                *(dout[at], q[at], k[at], v[at], self.p),
                **{"out": self.out[at], "lse": lse, "dq": dq, "dk": dk, "dv": dv, **self.options(part)},
            )

        list(self.pool.map(run, self.parts, self.lse))


class PyTorch:
    def __init__(self, q, k, v, dout, causal, p):
        self.inputs = [x.detach().clone().requires_grad_() for x in (q, k, v)]
        self.dout, self.causal, self.p = dout, causal, p

    def forward(self):
        self.out = scaled_dot_product_attention(*self.inputs, dropout_p=self.p, is_causal=self.causal)

    def backward(self):
        for x in self.inputs:
            x.grad = None
        self.out.backward(self.dout)


def measure(subjects, turns):
    """Milliseconds of each: medians."""
    times = {name: [] for name in subjects}
    for _ in range(turns):
        for name, subject in subjects.items():
            time.sleep(PAUSE)
            for timed in (False, True):
                begin = time.perf_counter()
                subject.forward()
                subject.backward()
                if timed:
                    times[name].append(1e3 * (time.perf_counter() - begin))
    return {name: statistics.median(t) for name, t in times.items()}


def largest_difference(ours, theirs):
    return max((a - b.grad).abs().max().item() for a, b in zip(ours.grads, theirs.inputs))


def table(threads, turns):
    torch.set_num_threads(threads)
    isas = [isa for isa in ("avx512", "avx2", "neon") if bitdrop.isa_supported(isa)]
    print(f"\n{threads} thread(s)\n")
    columns = [f"{isa} p = {p}" for isa in isas for p in (0.1, 0)] + ["PyTorch p = 0.1", "PyTorch p = 0"]
    ratios = f"{columns[0]} / PyTorch p = 0.1, p = 0 | p = 0.1 / 0"
    print("| batch, heads, rows | dtype | " + " | ".join(columns) + f" | {ratios} |")
    print("|---|---|" + "---|" * (len(columns) + 2))
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for dtype in DTYPES:
            for batch, heads, rows, dim, causal in CASES:
                x = [torch.randn(batch, heads, rows, dim).to(dtype) for _ in range(4)]
                subjects = {
                    f"{isa} p = {p}": Bitdrop(pool, threads, *x, causal, p, isa) for isa in isas for p in (0.1, 0)
                }
                subjects |= {f"PyTorch p = {p}": PyTorch(*x, causal, p) for p in (0.1, 0)}
                times = measure(subjects, turns)
                assert largest_difference(subjects[f"{isas[0]} p = 0"], subjects["PyTorch p = 0"]) < 0.1
                first = times[columns[0]]
                print(
                    f"| {batch}, {heads}, {rows}{' causal' if causal else ''} | {str(dtype).removeprefix('torch.')} | "
                    + " | ".join(f"{times[c]:.1f}" for c in columns)
                    + f" | {first / times['PyTorch p = 0.1']:.2f}, {first / times['PyTorch p = 0']:.2f}"
                    + f" | {first / times[columns[1]]:.3f} |",
                    flush=True,
                )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--turns", type=int, default=5, help="timed runs of each (default: 5)")
    options = parser.parse_args()
    print(f"PyTorch {torch.__version__}, bitdrop {bitdrop.__version__}")
    for threads in options.threads:
        table(threads, options.turns)


if __name__ == "__main__":
    main()
