# SPDX-License-Identifier: Apache-2.0
"""What the package raises: each is a BitdropError and the built-in exception that fits."""

from __future__ import annotations


class BitdropError(Exception):
    """Base class of all errors of this package."""


class BitdropValueError(BitdropError, ValueError):
    """An argument has a wrong value, shape, layout or device."""


class BitdropTypeError(BitdropError, TypeError):
    """An argument has a wrong type or dtype."""


class MissingPackageError(BitdropError, ImportError):
    """What is asked for needs a package that is not installed."""
