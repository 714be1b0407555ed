# SPDX-License-Identifier: Apache-2.0
"""Runs Python in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent  # not the folder python, whose sources would hide the installed package


def run(*arguments: str, cwd: Path = HERE, timeout: int = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=timeout,
        check=False,
    )


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("-c", code, **environment)
