# SPDX-License-Identifier: Apache-2.0
"""The examples in Python run and print the results that they demonstrate."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the examples need PyTorch")

ROOT = Path(__file__).parents[2]


def run(tmp_path: Path, *arguments: str) -> str:
    command = [sys.executable, str(ROOT / "examples" / arguments[0]), *arguments[1:]]
    return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("ranks", ["2", "4"])
def test_sharded_dropout_is_the_whole(tmp_path: Path, ranks: str) -> None:
    steps = run(tmp_path, "ddp.py", ranks).splitlines()
    assert len(steps) == 3
    assert all(step.endswith("shards by rows and by columns have the bits of the whole") for step in steps)


@pytest.mark.parametrize("dtype", [[], ["--bf16"]])
def test_gpt_saves_less_and_learns_alike(tmp_path: Path, dtype: list[str]) -> None:
    rows = run(
        tmp_path, "train_text.py", str(ROOT / "README.md"),
        "--steps=40", "--seeds=1", "--seconds=0.1", *dtype,
    ).splitlines()  # fmt: skip
    loss = {row.split()[0]: float(row.split()[1]) for row in rows[1:]}
    saved = {row.split()[0]: int(row.split()[2].replace(",", "")) for row in rows[1:]}
    assert abs(loss["bitdrop"] - loss["torch.nn"]) < 0.1
    assert loss["bitdrop"] < 3.6  # 4.6 before the first step
    assert saved["bitdrop"] < 0.9 * saved["torch.nn"]
