# SPDX-License-Identifier: Apache-2.0
"""The Python of a page of docs/ runs, block after block in one process."""

import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def run_page(name: str, blocks: int) -> str:
    """What at least so many blocks of the page print."""
    text = (DOCS / name).read_text(encoding="utf-8")
    found = list(re.finditer(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE))
    assert len(found) >= blocks
    # With blank lines in the place of the text, a traceback has the lines of the page.
    program, line = "", 1
    for block in found:
        begin = text[: block.start(1)].count("\n") + 1
        program += "\n" * (begin - line) + block[1]
        line = begin + block[1].count("\n")
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout
