# SPDX-License-Identifier: Apache-2.0
"""Trains a small GPT on a text, with PyTorch's dropout and with bitdrop's.

    python examples/train_text.py docs/*.md --plot losses.svg

Dropout is on embeddings, attention and residuals, as in GPT-2 (Radford et al., 2019). Two models
with the same initial weights are trained on the same batches, one with torch.nn.Dropout, and one
with bitdrop's after bitdrop.torch.patch. For each, the program prints the loss, the bytes that
autograd saves for the backward pass (counted by torch.autograd.graph.saved_tensors_hooks), the
time of a step, and the share of it that dropout takes (compared with p = 0).
"""

import argparse
import time
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import bitdrop.torch

CONTEXT, WIDTH, HEADS, LAYERS, BATCH, P = 64, 128, 4, 2, 16, 0.1


class Block(nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.project = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.drop_attention, self.drop1, self.drop2 = nn.Dropout(p), nn.Dropout(p), nn.Dropout(p)
        self.register_buffer("future", torch.ones(CONTEXT, CONTEXT, dtype=torch.bool).triu(1))

    def attention(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).view(*x.shape[:2], 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).masked_fill(self.future, -torch.inf)
        return self.project((self.drop_attention(scores.softmax(-1)) @ v).transpose(1, 2).flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop1(self.attention(self.norm1(x)))
        return x + self.drop2(self.mlp(self.norm2(x)))


class GPT(nn.Module):
    def __init__(self, symbols: int, p: float) -> None:
        super().__init__()
        self.symbol, self.place = nn.Embedding(symbols, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.drop = nn.Dropout(p)
        self.blocks = nn.Sequential(*[Block(p) for _ in range(LAYERS)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, symbols)

    def forward(self, text: Tensor) -> Tensor:
        x = self.drop(self.symbol(text) + self.place.weight)
        return self.head(self.norm(self.blocks(x)))


def model_of(kind: str, symbols: int, seed: int, p: float, dtype: torch.dtype) -> GPT:
    torch.manual_seed(seed)
    model = GPT(symbols, p).to(dtype)
    if kind == "bitdrop":
        bitdrop.torch.patch(model)
    return model


class Run:
    """One training run; step() makes the next step and returns its loss."""

    def __init__(self, kind: str, text: Tensor, symbols: int, seed: int, p: float, dtype: torch.dtype) -> None:
        self.model = model_of(kind, symbols, seed, p, dtype)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self.text = text
        self.batches = torch.Generator().manual_seed(seed)

    def batch(self) -> Tensor:
        begin = torch.randint(len(self.text) - CONTEXT, (BATCH, 1), generator=self.batches)
        return self.text[begin + torch.arange(CONTEXT + 1)]

    def step(self) -> float:
        batch = self.batch()
        loss = F.cross_entropy(self.model(batch[:, :-1]).flatten(0, 1).float(), batch[:, 1:].flatten())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def saved_bytes(run: Run) -> int:
    """Bytes of the tensors that one forward pass saves, without the parameters. Each storage counts once."""
    known = {p.untyped_storage().data_ptr() for p in run.model.parameters()}
    storages: dict[int, Tensor] = {}  # holds the tensors, so that no address is used twice

    def pack(t: Tensor) -> Tensor:
        if t.untyped_storage().data_ptr() not in known:
            storages[t.untyped_storage().data_ptr()] = t
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        run.model(run.batch()[:, :-1])
    return sum(t.untyped_storage().nbytes() for t in storages.values())


def step_times(runs: dict[str, Run], seconds: float) -> dict[str, float]:
    """The median time of a step of each run. The runs take turns, a step at a time."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[next(iter(times))]) < 5:
        for name, run in runs.items():
            start = time.perf_counter()
            run.step()
            times[name].append(time.perf_counter() - start)
    return {name: sorted(t)[len(t) // 2] for name, t in times.items()}


def plot(losses: dict[str, list[list[float]]], file: str) -> None:
    from matplotlib import pyplot as plt

    for (kind, runs), style in zip(losses.items(), ("-", "--"), strict=True):
        for i, run in enumerate(runs):
            smooth = torch.tensor(run).unfold(0, min(20, len(run)), 1).mean(1)
            plt.plot(smooth, style, color=f"C{i}", label=f"{kind}, seed {i}", linewidth=1)
    plt.xlabel("step")
    plt.ylabel("loss, mean of 20 steps")
    plt.legend()
    plt.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(description="A small GPT with PyTorch's dropout and with bitdrop's.")
    parser.add_argument("text", nargs="+", type=Path, help="files to learn from")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--bf16", action="store_true", help="weights and activations in bfloat16")
    parser.add_argument("--seconds", type=float, default=10, help="how long to measure the times of steps")
    parser.add_argument("--plot", help="file for a picture of the losses, drawn by matplotlib")
    args = parser.parse_args()
    if args.plot and find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib: pip install matplotlib")
    data = b"".join(file.read_bytes() for file in args.text)
    if len(data) <= CONTEXT + 1:
        parser.error(f"the text must have more than {CONTEXT + 1} bytes")
    symbols, text = torch.tensor(list(data)).unique(return_inverse=True)
    dtype = torch.bfloat16 if args.bf16 else torch.float32

    losses: dict[str, list[list[float]]] = {}
    for kind in ("torch.nn", "bitdrop"):
        losses[kind] = []
        for seed in range(args.seeds):
            run = Run(kind, text, len(symbols), seed, P, dtype)
            losses[kind].append([run.step() for _ in range(args.steps)])
    runs = {
        name: Run(name.split()[0], text, len(symbols), 0, 0.0 if name.endswith("0") else P, dtype)
        for name in ("torch.nn", "bitdrop", "torch.nn p=0")
    }
    times = step_times(runs, args.seconds)
    print(f"{'':9} {'loss at the end, by seed':28} {'saved bytes':>12} {'ms a step':>10} {'dropout':>8}")
    for kind, of_seed in losses.items():
        ends = [sum(run[-20:]) / len(run[-20:]) for run in of_seed]
        share = 1 - times["torch.nn p=0"] / times[kind]
        print(
            f"{kind:9} {' '.join(f'{e:.3f}' for e in ends):28} {saved_bytes(runs[kind]):12,} "
            f"{1e3 * times[kind]:10.2f} {share:8.1%}"
        )
    if args.plot:
        plot(losses, args.plot)


if __name__ == "__main__":
    main()
