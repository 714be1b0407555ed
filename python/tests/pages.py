# SPDX-License-Identifier: Apache-2.0
"""Runs the Python blocks of a page in one process, one after the other."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_page(name: str, blocks: int) -> str:
    """Run the page at a path, and return its output. `blocks` is the least number of blocks that it must have."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = list(re.finditer(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE))
    assert len(found) >= blocks
    # Blank lines replace the text of the page, so that tracebacks have its line numbers.
    program, line = "", 1
    for block in found:
        begin = text[: block.start(1)].count("\n") + 1
        program += "\n" * (begin - line) + block[1]
        line = begin + block[1].count("\n")
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout
