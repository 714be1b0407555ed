# SPDX-License-Identifier: Apache-2.0
"""Another Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,  # where no sources of the package hide what is installed
        timeout=60,
        check=False,
    )
