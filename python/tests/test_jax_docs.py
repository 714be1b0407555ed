# SPDX-License-Identifier: Apache-2.0
"""The Python blocks of docs/jax.md run."""

import pytest
from pages import run_page

pytest.importorskip("jax")


def test_the_guide_runs() -> None:
    assert "[ 2.  4.  0.  0. 10.  0. 14.  0.]\n" in run_page("docs/jax.md", 6)
