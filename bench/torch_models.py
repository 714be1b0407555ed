# SPDX-License-Identifier: Apache-2.0
"""A training step of ten models: PyTorch's dropout, bitdrop.torch.patch(), bitdrop.torch.enable(), and no dropout.

    ./dev bench --models [--compiled] [--losses STEPS] ...

installs PyTorch and transformers into build/engines-venv, and runs this file there. models.py builds the models. Their
weights are random, so nothing is downloaded. Each way runs in a process of its own. The processes take turns, a step
each, so that other load on the machine affects all of them alike.
"""

import argparse
import contextlib
import ctypes
import gc
import json
import math
import multiprocessing
import os
import platform
import statistics
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from models import MODELS, PRELOADED
from torch import Tensor

WAYS = ("stock", "patch", "enable", "none")
TITLES = {"stock": "PyTorch", "patch": "patch()", "enable": "enable()", "none": "no dropout"}
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
P = 0.1  # of most dropouts; a few use 2 P or 5 P, as their papers do
SEEDS = (1, 2, 3)

# ---- One way, in a process of its own.


class Way:
    """A model in one of WAYS, and its measurements. The parent process calls the methods by their names."""

    def __init__(self, name: str, way: str, dtype: str, compiled: bool, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(0)  # the same weights and inputs in all processes
        self.way, self.compiled = way, compiled
        self.model, inputs = MODELS[name][1](0.0 if way == "none" else P)
        self.model.to(DTYPES[dtype]).train()
        self.inputs = {k: x.to(DTYPES[dtype]) if x.is_floating_point() else x for k, x in inputs.items()}
        self.begin = {k: x.clone() for k, x in self.model.state_dict().items()}
        if way == "patch":
            import bitdrop.torch

            bitdrop.torch.patch(self.model)
        if way == "enable":
            import bitdrop.torch

            bitdrop.torch.enable()
        self.run = torch.compile(self.model) if compiled else self.model
        self.restart()

    def restart(self) -> None:
        """Reset weights and optimizer to their first state."""
        self.model.load_state_dict(self.begin)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=True)

    def step(self) -> float:
        """Take one training step, and return its loss."""
        loss = self.run(**self.inputs)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()

    def milliseconds(self) -> float:
        start = time.perf_counter()
        self.step()
        return 1e3 * (time.perf_counter() - start)

    def losses(self, seed: int, steps: int) -> list[float]:
        """Train from the first state with this seed of dropout, and return the loss of each step."""
        self.restart()
        torch.manual_seed(seed)
        return [self.step() for _ in range(steps)]

    def kept(self) -> int:
        """Bytes that the forward pass saves for the backward pass, without parameters and inputs."""
        known = (*self.model.parameters(), *self.model.buffers(), *self.inputs.values())
        not_counted = {x.untyped_storage().data_ptr() for x in known}
        storages: dict[int, Any] = {}  # held, so that no address is used again

        def pack(x: Tensor) -> Tensor:
            storage = x.untyped_storage()
            if storage.data_ptr() not in not_counted:
                storages[storage.data_ptr()] = storage
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            loss = self.run(**self.inputs)
        total = sum(storage.nbytes() for storage in storages.values())
        loss.backward()
        self.optimizer.zero_grad()
        return total

    def peak(self) -> int | None:
        """The most bytes that a step adds to the memory of the process; None if the OS does not report it."""
        self.optimizer.zero_grad()
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again
            before = memory("VmRSS")
            self.step()
            return memory("VmHWM") - before
        return None

    def dropped(self) -> int:
        """Elements that PyTorch's own dropout operators read in a forward pass of the model, which is not compiled."""
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as profile:
            self.model(**self.inputs)
        names = ("aten::dropout", "aten::dropout_")  # attention and nn.LSTM call these too
        return sum(math.prod(event.input_shapes[0]) for event in profile.events() if event.name in names)

    def by_bitdrop(self) -> int:
        """Elements that bitdrop's dropout kernels read in a step of the model, compiled or not."""
        if self.way in ("stock", "none"):
            return 0
        import bitdrop.torch

        return int(bitdrop.torch.report(self.step, self.model).elements("bitdrop"))


def memory(what: str) -> int:
    """VmRSS or VmHWM of this process in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {what}")


def serve(connection: Connection, *arguments: Any) -> None:
    """Answers commands (a method of Way and its arguments) until the connection is closed."""
    way = None
    with contextlib.suppress(EOFError):
        while True:
            method, *rest = connection.recv()
            try:
                way = way or Way(*arguments)
                connection.send((getattr(way, method)(*rest), None))
            except Exception as error:  # the parent prints it
                connection.send((None, f"{type(error).__name__}: {error}"))


class Ways:
    """The processes of all ways of a model."""

    def __init__(self, name: str, ways: tuple[str, ...], *arguments: Any) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.connections: dict[str, Any] = {}
        self.processes = []
        for way in ways:
            here, there = context.Pipe()
            process = context.Process(target=serve, args=(there, name, way, *arguments), daemon=True)
            process.start()
            there.close()
            self.connections[way] = here
            self.processes.append(process)

    def ask(self, way: str, method: str, *arguments: Any) -> Any:
        """Call a method of a way and return its result. If it raises, print the error and return None."""
        self.connections[way].send((method, *arguments))
        answer, error = self.connections[way].recv()
        if error:
            print(f"torch_models.py: {way}, {method}: {error}", file=sys.stderr)
        return answer

    def close(self) -> None:
        """End the processes."""
        for connection in self.connections.values():
            connection.close()
        for process in self.processes:
            process.join()


# ---- All ways of a model, and the table.

Row = dict[str, Any]  # one of the "rows" in the JSON


def measure(name: str, dtype: str, compiled: bool, args: argparse.Namespace) -> Row:
    """One row of the table."""
    processes = Ways(name, args.ways, dtype, compiled, args.threads)
    # The first step compiles and fills caches. A way whose first step fails is left out.
    ways = [way for way in args.ways if processes.ask(way, "milliseconds") is not None]
    row: Row = {"model": name, "title": MODELS[name][0], "dtype": dtype, "compiled": compiled}
    for what in ("by_bitdrop", "kept", "peak"):
        row[what] = {way: processes.ask(way, what) for way in ways}
    row["dropped"] = processes.ask("stock", "dropped") if "stock" in ways else None
    times: dict[str, list[float]] = {way: [] for way in ways}
    for i in range(args.rounds + 1):
        for j in range(len(ways)):
            way = ways[(i + j) % len(ways)]
            times[way].append(processes.ask(way, "milliseconds"))
    row["ms"] = {way: statistics.median(samples[1:]) for way, samples in times.items()}
    row["losses"] = {}
    if args.losses:
        for way in ("stock", "enable"):
            if way in ways:
                row["losses"][way] = [processes.ask(way, "losses", seed, args.losses) for seed in SEEDS]
    processes.close()
    return row


# Name in the JSON, name in the table, scale. These are the time of a step, the bytes saved for the backward pass, the
# most memory that a step adds, and the share of dropout's elements that bitdrop's kernels read.
QUANTITIES = (("ms", "ms", 1.0), ("kept", "MB kept", 1e-6), ("peak", "MB at most", 1e-6), ("by_bitdrop", "%", 100.0))


def three_digits(value: float | None) -> str:
    """A number with three digits, for the table."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 99.5 else f"{value:.3g}"


def cells(row: Row, ways: tuple[str, ...]) -> list[str]:
    """A row as text: model, kind, and each of QUANTITIES way by way."""
    found = [row["title"], row["dtype"] + (", compiled" if row["compiled"] else "")]
    for what, _, scale in QUANTITIES:
        of_all = (row["dropped"] or math.nan) if what == "by_bitdrop" else 1
        values = (row[what].get(way) for way in ways)
        found += (three_digits(value if value is None else value * scale / of_all) for value in values)
    return found


def grouped(line: list[str], count: int) -> list[str]:
    """A row of the Markdown table: the `count` cells of a quantity, one for each way, become one cell."""
    return line[:2] + [", ".join(line[i : i + count]) for i in range(2, len(line), count)]


def print_table(rows: list[Row], ways: tuple[str, ...], markdown: bool) -> None:
    """Print all rows: as Markdown, or as text with each quantity above its columns."""
    lines = [cells(row, ways) for row in rows]
    if markdown:
        head = ["model", "", *(name for _, name, _ in QUANTITIES)]
        table = [head, ["---"] * len(head), *(grouped(line, len(ways)) for line in lines)]
        print(", ".join(TITLES[way] for way in ways) + ":\n")
        print("\n".join(f"| {' | '.join(line)} |" for line in table))
        return
    above = ["", "", *(name if i == 0 else "" for _, name, _ in QUANTITIES for i in range(len(ways)))]
    below = ["model", "", *(TITLES[way] for _ in QUANTITIES for way in ways)]
    widths = [max(map(len, column)) for column in zip(below, *lines, strict=True)]
    for line in (above, below, *lines):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_losses(row: Row) -> None:
    """Print how much the mean losses of both dropouts differ, and how much the losses of PyTorch's seeds differ."""
    stock, bitdrop = (list(zip(*row["losses"][way], strict=True)) for way in ("stock", "enable"))  # step by step
    apart = [abs(statistics.mean(a) - statistics.mean(b)) for a, b in zip(stock, bitdrop, strict=True)]
    spread = [max(a) - min(a) for a in stock]
    first, last, bitdrop_last = (statistics.mean(losses) for losses in (stock[0], stock[-1], bitdrop[-1]))
    print(
        f"{row['title']}, {row['dtype']}: from {first:.3f} to {last:.3f} (PyTorch) and {bitdrop_last:.3f} "
        f"(bitdrop) in {len(stock)} steps. Means differ by {statistics.mean(apart):.4f}, at most {max(apart):.4f}; "
        f"PyTorch's seeds by {statistics.mean(spread):.4f}, at most {max(spread):.4f}"
    )


def main() -> None:
    """Measure, print, and write the JSON that plot_torch.py reads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS), help="some of %(default)s")
    parser.add_argument("--ways", default=",".join(WAYS), help="some of %(default)s")
    parser.add_argument("--dtype", default="f32,bf16", help="f32, bf16 or both (%(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--compiled", action="store_true", help="use torch.compile, which takes minutes for each model")
    parser.add_argument("--rounds", type=int, default=11, help="steps of each way (%(default)s)")
    parser.add_argument("--losses", type=int, metavar="STEPS", default=0, help="also train with three seeds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to FILE")
    args = parser.parse_args()
    args.ways = tuple(args.ways.split(","))
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # none of the profiler's messages
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    rows = []
    for name in args.models.split(","):
        for dtype in args.dtype.split(","):
            rows.append(measure(name, dtype, args.compiled, args))
            print("  ".join(cells(rows[-1], args.ways)), file=sys.stderr, flush=True)
    print_table(rows, args.ways, markdown=False)
    print()
    print_table(rows, args.ways, markdown=True)
    for row in rows:
        if len(row["losses"]) == 2:
            print_losses(row)
    if args.json:
        context = {"torch": torch.__version__, "threads": args.threads, "cpu": cpu_name()}
        args.json.write_text(json.dumps({"context": context, "rows": rows}), encoding="utf-8")


def cpu_name() -> str:
    """Name of the CPU in /proc/cpuinfo, or of its architecture."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
