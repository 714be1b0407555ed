# SPDX-License-Identifier: Apache-2.0
"""Flat calls of the C library on tensors: which threads and stores they use. Results have the strides of PyTorch's."""

import ctypes
import functools
import mmap
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import _library

DTYPES = {
    torch.float32: _library.F32,
    torch.float64: _library.F64,
    torch.float16: _library.F16,
    torch.bfloat16: _library.BF16,
}

# ---- Threads: PyTorch's own. The threads of a second pool would wake more slowly and compete for the cores.

SHARED = 1 << 16  # calls on at least this many elements use several threads


class _Team(ctypes.Structure):
    """The context of bitdrop_openmp in _openmp.c."""

    _fields_ = (("parallel", ctypes.c_void_p), ("threads", ctypes.c_uint))


def _find_openmp() -> int | None:
    """Address of GOMP_parallel in PyTorch's OpenMP runtime. None if not on Linux, or if PyTorch uses another pool."""
    try:
        # This handle finds the runtime that libtorch_cpu.so depends on, not another one in the same process.
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        return ctypes.cast(library.GOMP_parallel, ctypes.c_void_p).value
    except (OSError, AttributeError):
        return None


_openmp = _find_openmp()
_run = _library.Parallel.in_dll(_library.library, "bitdrop_openmp").run


def _use_one_thread() -> None:
    global _openmp
    _openmp = None


if hasattr(os, "register_at_fork"):
    # In the child, libgomp would wait for threads that exist only in the parent.
    os.register_at_fork(after_in_child=_use_one_thread)


@functools.lru_cache(maxsize=8)
def _team(threads: int) -> tuple[_library.Parallel, _Team]:
    context = _Team(_openmp, threads)
    return _library.Parallel(_run, ctypes.addressof(context), threads), context  # the first points to the second


def share(config: _library.Config) -> object:
    """Let PyTorch's threads run the tasks of a call. The caller must keep the returned object until the call ends."""
    threads = torch.get_num_threads()
    if threads == 1 or _openmp is None:
        return None
    team = _team(threads)
    config.parallel = ctypes.addressof(team[0])
    return team


# ---- Stores.

_LARGE = 8 << 20  # bytes from which streaming is faster in a model, because other tensors need the cache too
_HUGE_PAGE = 2 << 20
_MADV_HUGEPAGE = 14

_libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
if _libc is not None:
    _libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
    _libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def _untouched(y: Tensor) -> bool:
    """True if the page in the middle of y is not in memory: y was never touched.

    A page that is swapped out gives a wrong answer, which costs only speed.
    """
    resident = ctypes.create_string_buffer(1)
    middle = (y.data_ptr() + y.nbytes // 2) & -mmap.PAGESIZE
    return _libc.mincore(middle, 1, resident) == 0 and not resident.raw[0] & 1


def choose_stores(y: Tensor) -> int:
    """How to write y. The size of the whole tensor decides, not that of one thread's part.

    The OS zeroes a page when it is first touched, which brings it into the cache. With streaming stores it would be
    written to memory twice. With huge pages, the first touches need a third of the time.
    """
    if y.nbytes < _LARGE:
        return _library.STORES_AUTO
    if _libc is None or not _untouched(y):
        return _library.STORES_STREAMING
    begin = (y.data_ptr() + _HUGE_PAGE - 1) & -_HUGE_PAGE
    end = (y.data_ptr() + y.nbytes) & -_HUGE_PAGE
    _libc.madvise(begin, end - begin, _MADV_HUGEPAGE)  # has effect until the memory is unmapped; may fail: only slower
    return _library.STORES_CACHED


# ---- Kernels. They copy tensors that are not contiguous.


functions: list[Any] = []  # all functions of the library that bitdrop.torch calls; report() observes them


def unchecked(name: str) -> Any:
    """A function of the library without its errcheck, which ctypes calls after each call."""
    function = _library.library[name]
    function.argtypes = getattr(_library.library, name).argtypes
    functions.append(function)
    return function


_c_forward = unchecked("bitdrop_forward")
_c_backward = unchecked("bitdrop_backward")
_c_recompute = unchecked("bitdrop_recompute")


def _call_flat(function: Any, config: _library.Config, x: Tensor, *mask_address: int) -> Tensor:
    """The result. config is not changed, because other calls, also on other threads, may use it at the same time."""
    packed = x if x.is_contiguous() else x.contiguous()
    y = torch.empty_like(packed)
    n = x.numel()
    if n >= SHARED:
        config = _library.Config(config.p, config.seed, stores=choose_stores(y))
        _alive = share(config)
    status = function(config, DTYPES[x.dtype], n, packed.data_ptr(), y.data_ptr(), *mask_address)
    if status:
        _library.raise_status(status, function, (config, DTYPES[x.dtype], n))
    return y if packed is x else torch.empty_like(x).copy_(y)


def new_mask(x: Tensor) -> Tensor:
    """A new tensor for the mask of x: ceil(n / 8) bytes."""
    return x.new_empty((x.numel() + 7) // 8, dtype=torch.uint8)


def forward(x: Tensor, config: _library.Config) -> tuple[Tensor, Tensor]:
    """The result and the mask."""
    mask = new_mask(x)
    return _call_flat(_c_forward, config, x, mask.data_ptr()), mask


def backward(dy: Tensor, mask: Tensor, p: float) -> Tensor:
    """The gradient of x from the mask."""
    return _call_flat(_c_backward, _library.Config(p), dy, mask.data_ptr())


def recompute(x: Tensor, config: _library.Config) -> Tensor:
    """The result from the seed. If x is dy, this is the gradient."""
    return _call_flat(_c_recompute, config, x)
