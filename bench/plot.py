#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws throughput against size from the JSON of ./dev bench: one SVG for each dtype.

usage: plot.py results.json directory
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update(
    {
        "svg.fonttype": "none",  # text stays text, so that files are small
        "svg.hashsalt": "bitdrop",  # the same input gives the same file
        "font.family": "sans-serif",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)
from matplotlib import pyplot  # noqa: E402  (the backend must be chosen first)

CURVE = "p=0.1/rounds=10/auto"
COLOURS = {"avx512": "#1f5fa8", "avx2": "#2e9e6b", "neon": "#1f5fa8", "scalar": "#d9822b"}
Json = dict[str, Any]
Point = tuple[int, float]
BYTES = {"f32": 4, "f64": 8, "f16": 2, "bf16": 2}


def curves(results: Json, dtype: str) -> tuple[dict[str, list[Point]], list[Point]]:
    """{isa: [(bytes of x, GB/s)]}, and such a list of the limit. GB/s count x and y, but not the mask."""
    lines: dict[str, list[Point]] = {}
    limit: dict[int, list[float]] = {}
    for run in results["benchmarks"]:
        name = run["name"].split("/")
        if name[:2] != ["forward", "flat"] or name[3] != dtype:
            continue
        if "/".join(name[4:7]) != CURVE or name[8:10] != ["out", "threads=1"]:
            continue
        size = int(name[7].removeprefix("n=")) * BYTES[dtype]
        lines.setdefault(name[2], []).append((size, 2e-9 * size / seconds(run)))
        limit.setdefault(size, []).append(2e-9 * size / run["limit_seconds"])
    return lines, sorted((size, max(rates)) for size, rates in limit.items())


def seconds(run: Json) -> float:
    return run["real_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}[run["time_unit"]]


def size_label(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:g} {unit}"
        size /= 1024
    return f"{size:g} TiB"


def mark_caches(axes: pyplot.Axes, context: Json) -> None:
    """Mark the sizes at which x and y together fill a cache."""
    for cache in context["caches"]:
        if cache["type"] == "Instruction":
            continue
        axes.axvline(cache["size"] / 2, color="#999999", linewidth=0.8, linestyle=":")
        axes.text(
            cache["size"] / 2,
            1.0,
            f" L{cache['level']} full",
            color="#777777",
            fontsize=8,
            transform=axes.get_xaxis_transform(),
            verticalalignment="top",
        )


def draw(results: Json, dtype: str, path: Path) -> None:
    lines, limit = curves(results, dtype)
    if not lines:
        sys.exit(f"plot.py: the results have no curve of {dtype}")
    figure, axes = pyplot.subplots(figsize=(7, 4))
    axes.plot(*zip(*limit, strict=True), color="#444444", linestyle="--", label="limit")
    for isa, points in lines.items():
        axes.plot(*zip(*sorted(points), strict=True), color=COLOURS.get(isa), marker="o", markersize=3, label=isa)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    sizes = [size for size, _ in limit]
    axes.set_xticks(sizes[::4], [size_label(size) for size in sizes[::4]])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("bytes of x")
    axes.set_ylabel("GB/s, x and y")
    axes.set_title(
        f"forward, {dtype}, p = 0.1, one thread of {results['context']['cpu']}", fontsize=10, loc="left", pad=14
    )
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    mark_caches(axes, results["context"])
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    print(path)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    results = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    directory = Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    for dtype in BYTES:
        draw(results, dtype, directory / f"throughput-{dtype}.svg")


if __name__ == "__main__":
    main()
