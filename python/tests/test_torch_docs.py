# SPDX-License-Identifier: Apache-2.0
"""The Python blocks of docs/pytorch.md and docs/faq.md run."""

import pytest
from pages import run_page

pytest.importorskip("torch")


def test_the_guide_runs() -> None:
    assert "bitdrop" in run_page("pytorch.md", 5)


def test_the_questions_are_answered_rightly() -> None:
    run_page("faq.md", 12)
