# SPDX-License-Identifier: Apache-2.0
"""Runs a program with bitdrop's dropout without changing it: python -m bitdrop.torch train.py."""

import io
import os
import runpy
import sys
import types
from importlib.machinery import SourceFileLoader
from pathlib import Path

from . import enable

_USAGE = """usage: python -m bitdrop.torch script.py [argument ...]
       python -m bitdrop.torch -m module [argument ...]
"""

_HELP = f"""{_USAGE}
Calls bitdrop.torch.enable(), and then runs a Python program as python does. bitdrop replaces PyTorch's dropout on the
CPU in the program, and in the Python processes that it starts by fork, spawn, forkserver, subprocess or torchrun
(python -m bitdrop.torch -m torch.distributed.run --nproc-per-node 2 train.py).

A child that is not forked finds bitdrop by PYTHONPATH. So this does not work for children with another environment, or
with the options -I, -E or -S of python. With BITDROP_TORCH=0 in its environment, a child keeps PyTorch's dropout.
"""


def _quit(message: str) -> None:
    sys.stderr.write(f"{_USAGE}python -m bitdrop.torch: {message}\n")
    raise SystemExit(2)


def _run_script(script: str) -> None:
    """Run a script as `python script` does.

    The new module stays sys.modules["__main__"], because threads and exit handlers of the program may still use it.
    """
    if not getattr(sys.flags, "safe_path", False):  # with safe_path, sys.path[0] is not the program's folder
        sys.path.pop(0)
    if not Path(script).is_file() or script.endswith((".zip", ".pyz")):
        runpy.run_path(script, run_name="__main__")  # puts the folder or archive into sys.path itself
        return
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, str(Path(script).resolve().parent))
    file = os.path.join(os.getcwd(), script)
    with io.open_code(file) as source:
        code = compile(source.read(), file, "exec", dont_inherit=True)
    main = types.ModuleType("__main__")
    main.__file__ = file
    main.__loader__ = SourceFileLoader("__main__", file)
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def main() -> None:
    """The command."""
    arguments = sys.argv[1:]
    if not arguments:
        _quit("no program is given")
    first = arguments[0]
    if first in ("-h", "--help"):
        sys.stdout.write(_HELP)
        return
    is_module = first == "-m"
    if is_module and len(arguments) == 1:
        _quit("-m needs the name of a module")
    if first.startswith("-") and not is_module:
        _quit(f"unknown option {first}: options of the program must follow its name")
    if not is_module and not Path(first).exists():
        _quit(f"there is no file {first}")
    children = str(Path(__file__).parent / "_children")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (children, os.environ.get("PYTHONPATH"))))
    os.environ["BITDROP_TORCH"] = "1"
    enable()
    sys.argv = arguments[1:] if is_module else arguments
    if is_module:
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        _run_script(first)


if __name__ == "__main__":
    main()
