# SPDX-License-Identifier: Apache-2.0
"""Runs at the start of each Python process that `python -m bitdrop.torch` starts: it puts this folder into PYTHONPATH.

An import hook enables bitdrop when torch has been imported. A process that never imports torch imports nothing of
bitdrop. If the environment variable BITDROP_TORCH is not 1, the process and its children keep PyTorch's dropout.
"""

import os
import sys
from typing import Any


def _enable() -> None:
    try:
        import bitdrop.torch

        bitdrop.torch.enable()
    except ImportError as error:  # this Python is another one, without bitdrop
        import warnings

        warnings.warn(f"bitdrop: {sys.executable} keeps PyTorch's dropout: {error}", stacklevel=2)


class _AfterTorch:
    """A finder for sys.meta_path. The other finders find torch; this one makes its loader call _enable() at the end."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name != "torch":
            return None
        others = [finder for finder in sys.meta_path if finder is not _AfterTorch and hasattr(finder, "find_spec")]
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            load(module)
            sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not _AfterTorch]
            _enable()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if os.environ.get("BITDROP_TORCH") == "1":
    sys.meta_path.insert(0, _AfterTorch)

# Import the user's own sitecustomize, which this file hides, if there is one.
_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != _here]
_this = sys.modules.pop("sitecustomize")
try:
    import sitecustomize  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
except ImportError as error:
    if error.name != "sitecustomize":
        raise
    sys.modules["sitecustomize"] = _this
