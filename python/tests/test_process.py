# SPDX-License-Identifier: Apache-2.0
"""Fork, threads, the end of the interpreter, and the environment variable BITDROP_ISA."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
from interpreter import python

import bitdrop


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_fork() -> None:
    """In a process of its own, because pytest has threads."""
    done = python("""
import bitdrop, numpy, os
x = numpy.ones(5000, "f4")
def check(): return bitdrop.forward(x, .5, seed=1)[1].tobytes()
before = check()
child = os.fork()
if child == 0:
    os._exit(0 if check() == before else 1)
assert check() == before
assert os.waitpid(child, 0)[1] == 0
print("same")
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "same\n", "")


def test_finalisation() -> None:
    """Arrays and capsules still exist, and calls still run, when the interpreter ends."""
    done = python("""
import atexit, bitdrop, numpy, threading
x = numpy.ones(1 << 20, "f4")
y, mask = bitdrop.forward(x, .5, seed=1)
class Late:
    def __del__(self): bitdrop.infer(x, .5)
late = Late()
late.cycle = late
def spin():
    while True: bitdrop.backward(x, .5, mask)
threading.Thread(target=spin, daemon=True).start()
atexit.register(lambda: print(bitdrop.recompute(x, .5, seed=1).tobytes() == y.tobytes()))
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_threads() -> None:
    x = np.ones(100_003, np.float32)
    expected, _ = bitdrop.forward(x, 0.3, seed=2)
    wrong = []

    def work() -> None:
        for _ in range(20):
            if not np.array_equal(bitdrop.recompute(x, 0.3, seed=2), expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_wrong_environment() -> None:
    done = python("import bitdrop; bitdrop.mask(8, .5, seed=1)", BITDROP_ISA="sse9")
    assert done.returncode == 1
    assert "BitdropValueError" in done.stderr
    assert "BITDROP_ISA = 'sse9'" in done.stderr
