# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several files use, and the profiles of hypothesis."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

try:
    from hypothesis import HealthCheck, settings
    from hypothesis.configuration import set_hypothesis_home_dir
    from hypothesis.database import DirectoryBasedExampleDatabase
except ImportError:  # test_properties.py is skipped
    pass
else:
    # No deadline, because any example may take long on a busy machine. "short" has the same examples in every run.
    # "long" (pytest --hypothesis-profile=long) draws new examples in each run, and stores those that fail.
    common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
    settings.register_profile("short", max_examples=10, derandomize=True, database=None, **common)
    folder = Path(__file__).parents[2] / "build" / "trust" / "hypothesis"
    set_hypothesis_home_dir(folder)
    kept = DirectoryBasedExampleDatabase(folder / "examples")
    settings.register_profile("long", max_examples=700, print_blob=True, database=kept, **common)
    settings.load_profile("short")


@pytest.fixture
def masks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tensors keep a mask, as large ones do."""
    monkeypatch.setattr("bitdrop.torch._dropout._SMALL", 0)


@pytest.fixture
def enabled() -> Iterator[None]:
    """enable() is in effect: F.dropout is bitdrop's."""
    import bitdrop.torch as bt

    bt.enable()
    yield
    bt.disable()


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list to which each call of the C library appends the number of elements that it drops from."""
    from bitdrop.torch import _attention_calls, _kernels, _kernels_2d

    sizes: list[int] = []

    def count(module: Any, name: str, size: Callable[..., int]) -> None:
        call = getattr(module, name)

        def counted(*args: Any) -> Any:
            sizes.append(size(*args))
            return call(*args)

        monkeypatch.setattr(module, name, counted)

    count(_kernels, "_call_flat", lambda function, config, x, *_: x.numel())
    count(_kernels_2d, "_call_2d", lambda name, p, seed, shape, y, *_: y.numel())
    count(_attention_calls, "_call_attention", lambda function, q, v, *_: q[..., 0].numel() * v.shape[-2])
    return sizes
