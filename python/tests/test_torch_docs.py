# SPDX-License-Identifier: Apache-2.0
"""The Python blocks of docs/pytorch.md, docs/faq.md and python/README.md run."""

import pytest
from pages import run_page

pytest.importorskip("torch")


def test_the_guide_runs() -> None:
    assert "bitdrop" in run_page("docs/pytorch.md", 5)


def test_the_questions_are_answered_rightly() -> None:
    run_page("docs/faq.md", 12)


def test_the_readme_runs() -> None:
    run_page("python/README.md", 2)
