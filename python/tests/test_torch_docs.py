# SPDX-License-Identifier: Apache-2.0
"""The Python of docs/pytorch.md runs."""

import pytest
from pages import run_page

pytest.importorskip("torch")


def test_the_guide_runs() -> None:
    assert "bitdrop" in run_page("pytorch.md", 5)
