# SPDX-License-Identifier: Apache-2.0
"""python -m bitdrop.torch: a program runs as under python, and bitdrop runs the dropout of it and its children."""

import os
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

pytest.importorskip("torch")

from interpreter import run

import bitdrop
from bitdrop.torch import __main__

TIMEOUT = 300  # seconds, for programs that start others

WHOSE = """
def whose():
    import torch
    name = type(torch.nn.functional.dropout(torch.ones(9, requires_grad=True)).grad_fn).__name__
    return "bitdrop" if name == "_DropoutBackward" else "stock"
"""


def command(*arguments: str, cwd: Path, **environment: str) -> CompletedProcess[str]:
    """Run python -m bitdrop.torch with these arguments in a folder."""
    return run("-m", "bitdrop.torch", *arguments, cwd=cwd, timeout=TIMEOUT, **environment)


def test_script(tmp_path: Path) -> None:
    folder = tmp_path / "sub"
    folder.mkdir()
    (folder / "whose.py").write_text(WHOSE)
    (folder / "program.py").write_text("""
import sys
from whose import whose
if __name__ == "__main__":
    print(whose(), sys.argv, __file__, sys.path[0], __spec__, sys.modules["__main__"].whose is whose, sep="|")
    sys.exit(3)
""")
    wanted = run("sub/program.py", "-m", "--x=1", cwd=tmp_path)
    done = command("sub/program.py", "-m", "--x=1", cwd=tmp_path)
    assert wanted.stdout.startswith("stock|")
    assert done.stdout == wanted.stdout.replace("stock", "bitdrop")
    assert (done.returncode, done.stderr) == (3, "")
    (folder / "program.py").rename(folder / "__main__.py")
    done = command("sub", cwd=tmp_path)
    assert done.stdout.startswith("bitdrop|['sub']|")
    assert (done.returncode, done.stderr) == (3, "")


def test_module(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "whose.py").write_text(WHOSE)
    (package / "program.py").write_text("""
import sys
from .whose import whose
print(whose(), __name__, sys.argv, __spec__.name, sys.path[0], sep="|")
""")
    wanted = run("-m", "package.program", "a", "-b", cwd=tmp_path)
    done = command("-m", "package.program", "a", "-b", cwd=tmp_path)
    assert wanted.stdout.startswith("stock|__main__|")
    assert (done.returncode, done.stdout, done.stderr) == (0, wanted.stdout.replace("stock", "bitdrop"), "")


def test_error(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("def f():\n    raise KeyError('lost')\nf()\n")
    done = command("program.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "program.py\", line 2, in f\n    raise KeyError('lost')\n" in done.stderr
    assert done.stderr.endswith("KeyError: 'lost'\n")


def test_usage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        ((), "no program is given"),
        (("-m",), "-m needs the name of a module"),
        (("-x", "program.py"), "unknown option -x"),
        (("nowhere.py",), "there is no file nowhere.py"),
    ):
        monkeypatch.setattr(sys, "argv", ["__main__.py", *arguments])
        with pytest.raises(SystemExit) as quit:
            __main__.main()
        out, err = capsys.readouterr()
        assert (quit.value.code, out) == (2, "")
        assert err.startswith("usage: python -m bitdrop.torch script.py")
        assert f"python -m bitdrop.torch: {message}" in err
    monkeypatch.setattr(sys, "argv", ["__main__.py", "--help"])
    __main__.main()
    out, err = capsys.readouterr()
    assert "BITDROP_TORCH=0" in out
    assert err == ""
    assert "BITDROP_TORCH" not in os.environ


CHILDREN = (
    WHOSE
    + """
import multiprocessing, os, subprocess, sys

def child(queue, kind):
    queue.put((kind, whose()))

if __name__ == "__main__":
    print(whose())
    for kind in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context(kind)
        queue = context.Queue()
        process = context.Process(target=child, args=(queue, kind))
        process.start()
        print(*queue.get())
        process.join()
    for setting in ("1", "0"):
        code = open(__file__).read().split("import multiprocessing")[0] + "print('anew', whose(), flush=True)"
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "BITDROP_TORCH": setting}, check=True)
"""
)


def test_children(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(CHILDREN)
    done = command("program.py", cwd=tmp_path, PYTHONUNBUFFERED="1")
    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.splitlines()
    assert first == "bitdrop"
    assert others[-2:] == ["anew bitdrop", "anew stock"]
    assert others[:-2]
    assert all(line.endswith(" bitdrop") for line in others[:-2]), others


@pytest.mark.skipif(sys.platform != "linux", reason="torchrun is tested on Linux")
def test_torchrun(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(WHOSE + "import os\nopen(os.environ['LOCAL_RANK'], 'w').write(whose())\n")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    done = command(*launcher, "program.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["bitdrop", "bitdrop"]


def test_hook(tmp_path: Path) -> None:
    """The hook imports nothing if the program does not import torch, and runs the user's own sitecustomize."""
    folder = str(Path(bitdrop.__file__).parent / "torch" / "_children")
    (tmp_path / "sitecustomize.py").write_text("print('mine')")
    path = os.pathsep.join(filter(None, (folder, str(tmp_path), os.environ.get("PYTHONPATH"))))
    code = """
import sys
print(sorted(name for name in sys.modules if name.split(".")[0] in ("torch", "bitdrop")))
print([entry for entry in sys.path if entry.endswith("_children")], sys.modules["sitecustomize"].__file__[-21:])
import importlib.util
importlib.util.find_spec("torch")
"""
    done = run("-c", code + WHOSE + "print(whose())", PYTHONPATH=path, BITDROP_TORCH="1", timeout=TIMEOUT)
    assert (done.stdout, done.stderr) == (
        "mine\n[]\n[] /sitecustomize.py\nbitdrop\n".replace(
            " /sitecustomize.py", " " + str(tmp_path / "sitecustomize.py")[-21:]
        ),
        "",
    )
    code = "import sys; print('sitecustomize' in sys.modules)"
    path = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
    done = run("-S", "-c", code, PYTHONPATH=path, BITDROP_TORCH="1")
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_a_python_without_bitdrop(tmp_path: Path) -> None:
    """A child without bitdrop warns that it keeps PyTorch's dropout."""
    folder = tmp_path / "bitdrop"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise ImportError('no bitdrop here')")
    children = str(Path(bitdrop.__file__).parent / "torch" / "_children")
    path = os.pathsep.join(filter(None, (children, str(tmp_path), os.environ.get("PYTHONPATH"))))
    done = run("-c", WHOSE + "print(whose())", PYTHONPATH=path, BITDROP_TORCH="1", timeout=TIMEOUT)
    assert done.stdout == "stock\n"
    assert "keeps PyTorch's dropout: no bitdrop here" in done.stderr
