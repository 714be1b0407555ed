# SPDX-License-Identifier: Apache-2.0
"""What the package raises: each is a BitdropError and the built-in exception that fits."""

from __future__ import annotations

from collections.abc import Callable


class BitdropError(Exception):
    """Base class of all errors of this package."""


class BitdropValueError(BitdropError, ValueError):
    """An argument has a wrong value, shape, layout or device."""


class BitdropTypeError(BitdropError, TypeError):
    """An argument has a wrong type or dtype."""


class BitdropMemoryError(BitdropError, MemoryError):
    """There is no memory for a result or for scratch."""


class MissingPackageError(BitdropError, ImportError):
    """What is asked for needs a package that is not installed."""


def shown(value: object, how: Callable[[object], str] = repr) -> str:
    """A value for the text of an error: its repr, or its type where that fails."""
    try:
        text = how(value)
    except Exception:  # an int of more than 4,300 digits, or a __repr__ that raises
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= 200 else f"{text[:197]}..."
