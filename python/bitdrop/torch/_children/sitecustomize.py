# SPDX-License-Identifier: Apache-2.0
"""Start of each Python that runs below python -m bitdrop.torch, which puts this folder into PYTHONPATH.

A finder enables bitdrop as soon as torch was imported: a process that never imports torch imports nothing of bitdrop.
The environment variable BITDROP_TORCH, if it is not 1, leaves the process and its children to PyTorch.
"""

import os
import sys
from typing import Any


def _enable() -> None:
    try:
        import bitdrop.torch

        bitdrop.torch.enable()
    except ImportError as error:  # another Python than the one above
        import warnings

        warnings.warn(f"bitdrop: {sys.executable} keeps PyTorch's dropout: {error}", stacklevel=2)


class _AfterTorch:
    """Finds torch by the other finders, and adds to what the loader does."""

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

# The sitecustomize that this one hides, if there is one.
_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != _here]
_this = sys.modules.pop("sitecustomize")
try:
    import sitecustomize  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
except ImportError as error:
    if error.name != "sitecustomize":
        raise
    sys.modules["sitecustomize"] = _this
