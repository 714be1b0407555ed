# SPDX-License-Identifier: Apache-2.0
"""The package refuses to load a library of another version or with other layouts."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from interpreter import python

import bitdrop
from bitdrop import _library

COMPILER = shlex.split(os.environ.get("CC", "cc"))
SIZES = {name: ctypes.sizeof(layout) for name, layout in _library._LAYOUTS.items()}
CURE = "install both again from one source, by pip install --force-reinstall"


def stub(folder: Path, number: int | None, sizes: dict[str, int]) -> Path:
    """Compile a library that has only a version and sizes."""
    if not shutil.which(COMPILER[0]):
        pytest.skip("no C compiler")
    functions = [] if number is None else [f"int bitdrop_version_number(void) {{ return {number}; }}"]
    functions += [f"unsigned long bitdrop_sizeof_{name}(void) {{ return {size}; }}" for name, size in sizes.items()]
    source, library = folder / "stub.c", folder / "stub.so"
    source.write_text("\n".join([*functions, "int nothing;", ""]))
    subprocess.run([*COMPILER, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return library


@pytest.mark.parametrize(
    ("number", "changes", "message"),
    [
        (None, {}, "is older, and this package needs version 0.2"),
        (100, {}, "is version 0.1, and this package needs version 0.2"),
        (300, {}, "is version 0.3"),
        (10200, {}, "is version 1.2"),
        (207, {"config": 72}, "has a bitdrop_config of 72 bytes and not of 64"),
        (207, {"2d": 48}, "has a bitdrop_2d of 48 bytes and not of"),
        (207, {"softmax": 24}, "has a bitdrop_softmax of 24 bytes and not of"),
        (207, {"parallel": 24}, "has a bitdrop_parallel of 24 bytes and not of"),
        (207, {"attention": 24}, "has a bitdrop_attention of 24 bytes and not of"),
    ],
)
def test_refused(tmp_path: Path, number: int | None, changes: dict[str, int], message: str) -> None:
    library = stub(tmp_path, number, {**SIZES, **changes})
    done = python(f"""
import ctypes
load = ctypes.CDLL
ctypes.CDLL = lambda *_: load({str(library)!r})
import bitdrop
""")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: bitdrop's C library ")
    assert message in last
    assert last.endswith(CURE)


def test_lacks_a_size(tmp_path: Path) -> None:
    with pytest.raises(ImportError, match="is older"):
        _library.check(ctypes.CDLL(str(stub(tmp_path, 207, {"config": SIZES["config"]}))))


def test_accepted(tmp_path: Path) -> None:
    """A library with another patch version is accepted, because it has the same layouts."""
    _library.check(ctypes.CDLL(str(stub(tmp_path, 299, SIZES))))


def test_library_in_another_folder(tmp_path: Path) -> None:
    """The library is in another folder than the package, as on some systems, and there is no metadata of pip."""
    folder = Path(_library.library._name).parent
    if folder.name == "bitdrop":
        pytest.skip("built with python_system_library: the library lies in the package")
    pure, compiled = tmp_path / "pure", tmp_path / "compiled"
    pure.mkdir()
    compiled.mkdir()
    (pure / "bitdrop").symlink_to(Path(bitdrop.__file__).parent)
    (compiled / folder.name).symlink_to(folder)
    done = python(f"""
import sys
sys.path[:0] = [{str(pure)!r}, {str(compiled)!r}]
import bitdrop, bitdrop._library
print(bitdrop._library.library._name)
""")
    assert done.stdout.startswith(str(compiled)), done.stderr


def test_not_there() -> None:
    done = python("""
import pathlib
pathlib.Path.glob = lambda *_: iter(())
import bitdrop
""")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: there is no C library of bitdrop in .bitdrop.mesonpy.libs of ")
    assert last.endswith(CURE)


def test_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "libbitdrop.so").write_text("text")
    done = python(f"""
import pathlib
pathlib.Path.glob = lambda *_: iter([pathlib.Path({str(tmp_path)!r}) / "libbitdrop.so"])
import bitdrop
""")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: bitdrop's C library cannot be loaded (")
    assert last.endswith(CURE)
