# SPDX-License-Identifier: Apache-2.0
"""dropout and Dropout of bitdrop.torch: the bytes of the C library, threads, what is kept, and wrong arguments."""

import copy
import ctypes
import mmap
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from interpreter import python
from seeded import MODES, OPS, same, seeded
from torch import Tensor, nn

import bitdrop.torch as bt
from bitdrop import _library
from bitdrop.torch import _checks, _kernels

DTYPES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}


def seed_after(manual: int) -> int:
    torch.manual_seed(manual)
    return int(torch.randint(2**63 - 1, (), dtype=torch.int64).item())


def expected(x: Tensor, p: float, seed: int) -> tuple[Tensor, Tensor]:
    """One call of the C library, on one thread."""
    x = x.detach().contiguous()
    y, mask = torch.empty_like(x), torch.empty(-(-x.numel() // 8), dtype=torch.uint8)
    config = _library.Config(p=p, seed=seed)
    _library.forward(config, DTYPES[x.dtype], x.numel(), x.data_ptr(), y.data_ptr(), mask.data_ptr())
    return y, mask


@pytest.fixture(autouse=True)
def _threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


# ---- Values.


@MODES
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 7, 8, 1024, 5003])
@pytest.mark.parametrize("p", [0.1, 0.5, 1.0])
def test_bytes_are_the_c_librarys(recompute: bool, dtype: torch.dtype, n: int, p: float) -> None:
    x = torch.randn(n, dtype=dtype, requires_grad=True)
    dy = torch.randn(n, dtype=dtype)
    seed = seed_after(7)
    y = seeded(bt.dropout, x, p, recompute=recompute)
    y.backward(dy)
    same(y.detach(), expected(x, p, seed)[0])
    same(x.grad, expected(dy, p, seed)[0])
    same(seeded(bt.dropout, x.detach(), p, recompute=recompute), y.detach())


def test_operators_and_eager_give_the_same_bytes() -> None:
    x = torch.randn(3, 5, 7)
    seed = torch.tensor(seed_after(7))
    y, mask = OPS.dropout(x, seed, 0.3)
    want, want_mask = expected(x, 0.3, int(seed))
    same(y, want)
    same(mask, want_mask)
    same(OPS.dropout_recompute(x, seed, 0.3), want)
    same(OPS.dropout_backward(x, mask, 0.3), want)
    same(seeded(bt.dropout, x, 0.3), want)


@pytest.mark.usefixtures("masks_of_any_size")
@MODES
@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.to(memory_format=torch.channels_last),
        lambda x: x.transpose(0, 3),
        lambda x: x[:, ::2, 1:],
        lambda x: x[:1].expand(4, -1, -1, -1),
    ],
)
def test_strides(recompute: bool, view: Callable[[Tensor], Tensor]) -> None:
    """The mask depends on places in row-major order, and results have the strides that PyTorch's dropout gives."""
    base = torch.randn(2, 4, 5, 6, requires_grad=True)
    x = view(base)
    y = seeded(bt.dropout, x, 0.4, recompute=recompute)
    assert y.stride() == F.dropout(x, 0.4).stride()
    same(y, seeded(bt.dropout, x.contiguous(), 0.4))
    dy = torch.randn(tuple(reversed(y.shape))).permute(3, 2, 1, 0)
    (dx,) = torch.autograd.grad(y, x, dy)
    same(dx, seeded(bt.dropout, dy.contiguous(), 0.4))
    same(OPS.dropout(x, torch.tensor(seed_after(7)), 0.4)[0], y)


def test_negative_bit() -> None:
    x = torch.randn(64, dtype=torch.complex64).conj().imag
    assert x.is_neg()
    dense = torch._neg_view(torch.ones(64))  # contiguous, so that no copy resolves the bit
    same(seeded(bt.dropout, dense, 0.5), seeded(bt.dropout, -torch.ones(64), 0.5))
    same(seeded(bt.dropout, x, 0.5), seeded(bt.dropout, x.clone().resolve_neg().contiguous(), 0.5))


@pytest.mark.parametrize("backward", [False, True])
def test_threads_do_not_change_bytes(backward: bool) -> None:
    n = 8 * _kernels.SHARED + 12345
    x = torch.randn(n, requires_grad=True)
    want, want_mask = expected(x, 0.1, seed_after(7))
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        same(OPS.dropout(x, torch.tensor(seed_after(7)), 0.1)[1], want_mask)
        for recompute in (False, True):
            y = seeded(bt.dropout, x, 0.1, recompute=recompute)
            same(y.detach(), want)
            (dx,) = torch.autograd.grad(y, x, x.detach())
            same(dx, want)


@pytest.mark.skipif(_kernels._openmp is None, reason="this PyTorch has no OpenMP that bitdrop can use")
def test_pytorchs_threads_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks run on PyTorch's own threads: no new thread is started."""
    torch.set_num_threads(3)
    x = torch.ones(8 * _kernels.SHARED)
    x + x
    before = set(os.listdir("/proc/self/task"))
    seen: set[int] = set()

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t)
    def task(argument: int | None, index: int) -> None:
        seen.add(index)

    team, _ = _kernels._team(3)
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, type(task), ctypes.c_void_p)(team.run)
    run(team.context, 100, task, None)
    assert seen == set(range(100))
    requested: list[int] = []
    monkeypatch.setattr(_kernels, "_team", lambda threads: requested.append(threads) or (team, None))
    bt.dropout(x, 0.5)
    assert requested == [3]
    assert set(os.listdir("/proc/self/task")) <= before  # a thread that libgomp ended may exist a little longer


def test_every_thread_flushes_denormals_as_the_caller_does() -> None:
    torch.set_num_threads(3)
    x = torch.full((64 * _kernels.SHARED,), 1e-40)
    assert bt.dropout(x, 0.5).count_nonzero() > 0  # starts the threads, which do not flush denormals
    if not torch.set_flush_denormal(True):
        pytest.skip("this CPU cannot flush denormals")
    try:
        y = bt.dropout(x, 0.5)
    finally:
        torch.set_flush_denormal(False)
    assert y.count_nonzero() == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the OS about pages")
def test_calls_from_many_threads() -> None:
    x = torch.ones(4 * _kernels.SHARED, requires_grad=True)
    bad: list[int] = []

    def work(number: int) -> None:
        torch.set_num_threads(1 + number)
        for _ in range(20):
            y = bt.dropout(x, 0.5)
            (dy,) = torch.autograd.grad(y, x, torch.ones_like(y))
            bad.append(int((dy != y).sum()))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert bad == [0] * 60


def test_inference_mode_and_autocast() -> None:
    x = torch.randn(4, 8)
    with torch.inference_mode():
        y = seeded(bt.dropout, x)
    same(y.clone(), seeded(bt.dropout, x))
    linear = nn.Linear(8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = bt.dropout(linear(x))
    assert y.dtype is torch.bfloat16
    y.sum().backward()
    assert linear.weight.grad.dtype is torch.float32


def test_stores_go_by_the_tensor_and_its_pages() -> None:
    assert _kernels.choose_stores(torch.empty(1024)) == _library.STORES_AUTO
    with mmap.mmap(-1, 3 * _kernels._LARGE) as memory:
        y = torch.frombuffer(memory, dtype=torch.float32)
        assert _kernels.choose_stores(y) == _library.STORES_CACHED
        y.fill_(1)
        assert _kernels.choose_stores(y) == _library.STORES_STREAMING
        del y


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork() -> None:
    torch.set_num_threads(2)
    x = torch.ones(4 * _kernels.SHARED)
    want = seeded(bt.dropout, x, 0.1)  # starts OpenMP's threads
    pid = os.fork()
    if pid == 0:
        y = seeded(bt.dropout, x, 0.1)
        os._exit(0 if y.numpy().tobytes() == want.numpy().tobytes() else 1)
    for _ in range(200):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        pytest.fail("the child hangs")
    assert status == 0


# ---- The module.


def test_nothing_to_drop_returns_the_tensor_itself() -> None:
    x = torch.randn(8)
    for f in (F.dropout, bt.dropout):
        assert f(x, 0.0, True) is x
        assert f(x, 0.5, False) is x
        assert f(x, 0.5, False, True) is x
    assert bt.dropout(x[:0], 0.5).shape == (0,)
    assert bt.Dropout(0.5).eval()(x) is x


def test_module_is_nn_dropouts_twin() -> None:
    ours, theirs = bt.Dropout(0.3, inplace=True), nn.Dropout(0.3, inplace=True)
    assert repr(ours) == repr(theirs)
    assert repr(bt.Dropout(0.3, recompute=True)) == "Dropout(p=0.3, inplace=False, recompute=True)"
    assert ours.state_dict() == theirs.state_dict() == {}
    ours.load_state_dict(theirs.state_dict())
    assert isinstance(ours, nn.Dropout)
    assert copy.deepcopy(ours).p == 0.3
    x = torch.randn(100)
    same(seeded(bt.Dropout(0.3), x), seeded(bt.dropout, x, 0.3))
    with pytest.raises(ValueError, match="probability"):
        bt.Dropout(1.5)


@pytest.mark.usefixtures("masks_of_any_size")
@MODES
def test_inplace(recompute: bool) -> None:
    leaf = torch.randn(50, requires_grad=True)
    x = leaf * 1
    y = seeded(bt.dropout, x, 0.5, inplace=True, recompute=recompute)
    assert y is x
    want = seeded(bt.dropout, leaf.detach(), 0.5)
    same(y.detach(), want)
    y.backward(torch.ones(50))
    same(leaf.grad, seeded(bt.dropout, torch.ones(50), 0.5))
    view = torch.ones(6, 4).t()
    same(seeded(bt.dropout, view, 0.5, inplace=True), seeded(bt.dropout, torch.ones(4, 6), 0.5))


def test_manual_seed() -> None:
    x = torch.ones(1000)
    a, b = seeded(bt.dropout, x), bt.dropout(x)
    assert not torch.equal(a, b)
    same(seeded(bt.dropout, x), a)


# ---- What is kept for the backward pass.


@pytest.mark.parametrize(("recompute", "n", "kept"), [(False, 80_001, 10_001), (False, 1024, 0), (True, 80_001, 0)])
def test_saved_bytes(recompute: bool, n: int, kept: int) -> None:
    saved: list[Tensor] = []

    def pack(t: Tensor) -> Tensor:
        saved.append(t)
        return t

    x = torch.randn(n, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = bt.dropout(x, 0.1, recompute=recompute)
    assert sum(t.untyped_storage().nbytes() for t in saved) == kept
    y.sum().backward()


# ---- Wrong arguments.


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), float("inf")])
def test_bad_p(p: float) -> None:
    for training in (True, False):
        with pytest.raises(ValueError, match="between 0 and 1"):
            bt.dropout(torch.ones(3), p, training)
    with pytest.raises(ValueError, match="between 0 and 1"):
        OPS.dropout(torch.ones(3), torch.tensor(1), p)


def test_missing_pytorch() -> None:
    done = python("import sys; sys.modules['torch'] = None; import bitdrop.torch")
    assert "MissingPackageError: bitdrop.torch needs PyTorch" in done.stderr
    assert "pip install --upgrade torch" in done.stderr


def test_old_pytorch() -> None:
    done = python("import torch.compiler; del torch.compiler.is_exporting; import bitdrop.torch")
    assert "MissingPackageError: bitdrop.torch needs PyTorch 2.7 or newer" in done.stderr


def test_bad_environment() -> None:
    done = python("import bitdrop.torch, torch; bitdrop.torch.dropout(torch.ones(8))", BITDROP_ISA="sse9")
    assert "BitdropValueError: " in done.stderr
    assert "BITDROP_ISA = 'sse9'" in done.stderr


def test_bad_tensors() -> None:
    for x in (torch.ones(3, dtype=torch.int64), torch.ones(3, dtype=torch.complex64), torch.ones(3, dtype=torch.bool)):
        with pytest.raises(TypeError, match=r"\.float\(\)"):
            bt.dropout(x)
    with pytest.raises(TypeError, match=r"to_dense"):
        bt.dropout(torch.eye(3).to_sparse())
    for layout in (torch.strided, torch.jagged):
        with pytest.raises(TypeError, match="unbind"):
            bt.feature_dropout(torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)], layout=layout))
    with pytest.raises(TypeError, match=r"torch\.Tensor"):
        bt.dropout([1.0, 2.0])  # type: ignore[arg-type]
    assert bt.dropout(torch.ones(3, device="meta")).device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_gpu_tensor() -> None:
    with pytest.raises(ValueError, match=r"\.cpu\(\)"):
        bt.dropout(torch.ones(3, device="cuda"))


def test_other_device_by_its_name() -> None:
    class Elsewhere:
        dtype, layout, device, is_nested = torch.float32, torch.strided, torch.device("cuda:0"), False

    with pytest.raises(ValueError, match=r"\.cpu\(\)"):
        _checks.check(Elsewhere())  # type: ignore[arg-type]


def test_inplace_refuses_shared_memory() -> None:
    for x in (torch.ones(1, 4).expand(3, 4), torch.ones(8).as_strided((3, 4), (2, 1))):
        with pytest.raises(RuntimeError, match="clone"):
            bt.dropout(x, inplace=True)
    x = torch.ones(9).as_strided((2, 3), (3, 2))  # the rows interleave, but no two elements share memory
    same(seeded(bt.dropout, x, inplace=True), seeded(bt.dropout, torch.ones(2, 3)))
    with pytest.raises(RuntimeError, match="leaf"):
        bt.dropout(torch.ones(3, requires_grad=True), inplace=True)
