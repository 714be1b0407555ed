# SPDX-License-Identifier: Apache-2.0
"""Fixtures of more than one file."""

import pytest


@pytest.fixture
def masks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tensors keep a mask as large ones do."""
    monkeypatch.setattr("bitdrop.torch._dropout._SMALL", 0)
