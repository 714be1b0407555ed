#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws step times, as multiples of the step without dropout, from the JSON of bench/torch_models.py.

usage: plot_torch.py results.json picture.svg
"""

import json
import sys
from pathlib import Path
from typing import Any

from plot import pyplot  # plot.py sets the style

pyplot.rcParams["axes.spines.left"] = False
WAYS = {"stock": ("PyTorch", "#777777"), "patch": ("patch()", "#d9822b"), "enable": ("enable()", "#1f5fa8")}


def panel(axes: pyplot.Axes, rows: list[dict[str, Any]], title: str) -> None:
    """Draw a line for each model, and on it a dot for each of WAYS."""
    for y, row in enumerate(reversed(rows)):
        ratios = {way: row["ms"][way] / row["ms"]["none"] for way in WAYS if way in row["ms"]}
        axes.plot([min(ratios.values()), max(ratios.values())], [y, y], color="#dddddd", linewidth=2, zorder=1)
        for way, ratio in ratios.items():
            axes.scatter(ratio, y, color=WAYS[way][1], s=28, zorder=2, label=WAYS[way][0] if y == 0 else None)
    axes.axvline(1, color="#999999", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row["title"] for row in reversed(rows)])
    axes.tick_params(axis="y", length=0)
    axes.set_xscale("log")
    ticks = [0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8]
    low, high = axes.get_xlim()
    ticks = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(axis="x", color="#eeeeee", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel("step time, 1 = without dropout")


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    results = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    kinds = {(row["compiled"], row["dtype"]) for row in results["rows"]}
    kinds = sorted(kinds, key=lambda kind: (kind[0], kind[1] != "f32"))
    figure, panels = pyplot.subplots(1, len(kinds), figsize=(4 * len(kinds) + 1, 3.6), sharey=True, squeeze=False)
    for axes, (compiled, dtype) in zip(panels[0], kinds, strict=True):
        rows = [row for row in results["rows"] if (row["compiled"], row["dtype"]) == (compiled, dtype)]
        panel(axes, rows, dtype + (", compiled" if compiled else ""))
    panels[0][-1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    context = results["context"]
    figure.suptitle(
        f"{context['threads']} threads of {context['cpu']}, PyTorch {context['torch']}",
        fontsize=8,
        x=0.01,
        horizontalalignment="left",
    )
    figure.tight_layout()
    figure.savefig(sys.argv[2], metadata={"Date": None})
    print(sys.argv[2])


if __name__ == "__main__":
    main()
