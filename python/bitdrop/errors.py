# SPDX-License-Identifier: Apache-2.0
"""The exceptions of the package. Each is a BitdropError and also one of Python's own exceptions."""

from __future__ import annotations

from collections.abc import Callable


class BitdropError(Exception):
    """Base class of all errors of this package."""


class BitdropValueError(BitdropError, ValueError):
    """An argument has a wrong value, shape, layout or device."""


class BitdropTypeError(BitdropError, TypeError):
    """An argument has a wrong type or dtype."""


class BitdropMemoryError(BitdropError, MemoryError):
    """There is not enough memory for a result or for scratch memory."""


class MissingPackageError(BitdropError, ImportError):
    """The call or the import needs a package that is not installed, or is too old."""


def shown(value: object, how: Callable[[object], str] = repr) -> str:
    """A value as text for an error message, at most 200 characters: its repr, or its type if repr raises."""
    try:
        text = how(value)
    except Exception:  # an int of more than 4,300 digits, or a __repr__ that raises
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= 200 else f"{text[:197]}..."
