#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws accuracy and loss against p from the CSV of examples/digits --study: docs/images/study.svg.

usage: plot_study.py study.csv directory
"""

import csv
import statistics
import sys
from pathlib import Path

from plot import pyplot  # plot.py sets the style

Row = dict[str, str]
COLOURS = {"validation": "#d9822b", "test": "#1f5fa8"}
UNITS = {"accuracy": "accuracy, share of right answers", "loss": "loss, nats a digit"}


def spread(rows: list[Row], column: str) -> list[tuple[float, float, float]]:
    """[(p, mean, standard deviation)] of a column, over the seeds."""
    values: dict[float, list[float]] = {}
    for row in rows:
        values.setdefault(float(row["p"]), []).append(float(row[column]))
    return [(p, statistics.fmean(v), statistics.stdev(v) if len(v) > 1 else 0) for p, v in sorted(values.items())]


def draw(axes: pyplot.Axes, rows: list[Row], what: str) -> None:
    for kind, colour in COLOURS.items():
        p, mean, deviation = zip(*spread(rows, f"{kind}_{what}"), strict=True)
        low = [m - d for m, d in zip(mean, deviation, strict=True)]
        high = [m + d for m, d in zip(mean, deviation, strict=True)]
        axes.fill_between(p, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(p, mean, color=colour, marker="o", markersize=3, label=kind)
    axes.set_xlabel("p, share of the hidden units dropped")
    axes.set_ylabel(UNITS[what])
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)


def mark_choices(axes: pyplot.Axes, rows: list[Row]) -> None:
    """Write along the lower edge how many seeds chose each p. A seed chooses by validation accuracy."""
    chosen = [float(row["p"]) for row in rows if row["chosen"] == "1"]
    for p in sorted(set(chosen)):
        axes.annotate(
            str(chosen.count(p)),
            (p, 0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            horizontalalignment="center",
            fontsize=8,
            color="#777777",
        )
    axes.annotate(
        "seeds that chose it:",
        (0, 0),
        xycoords=("data", "axes fraction"),
        xytext=(-4, 3),
        textcoords="offset points",
        fontsize=8,
        color="#777777",
    )


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    seeds = len({row["seed"] for row in rows})
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6))
    draw(left, rows, "accuracy")
    draw(right, rows, "loss")
    left.margins(y=0.15)
    mark_choices(left, rows)
    left.legend(frameon=False, loc="center right")
    left.set_title(f"mean and standard deviation of {seeds} seeds", fontsize=10, loc="left", pad=14)
    figure.tight_layout()
    path = Path(sys.argv[2]) / "study.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    print(path)


if __name__ == "__main__":
    main()
