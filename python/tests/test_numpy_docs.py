# SPDX-License-Identifier: Apache-2.0
"""The Python blocks of docs/numpy.md run."""

from pages import run_page

import bitdrop


def test_the_guide_runs() -> None:
    assert run_page("docs/numpy.md", 7).startswith(bitdrop.version())
