# SPDX-License-Identifier: Apache-2.0
"""The Python of docs/pytorch.md runs, block after block in one process."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

PAGE = Path(__file__).parents[2] / "docs" / "pytorch.md"


def test_the_guide_runs() -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) > 4
    # With blank lines in the place of the text, a traceback has the lines of the page.
    program, line = "", 1
    for block in blocks:
        begin = text[: text.index(block)].count("\n") + 1
        program += "\n" * (begin - line) + block
        line = begin + block.count("\n")
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "bitdrop" in run.stdout
