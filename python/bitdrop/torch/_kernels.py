# SPDX-License-Identifier: Apache-2.0
"""Tensors in, the calls of the C library out: threads, stores, and results of the strides that PyTorch gives."""

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

# ---- Threads: PyTorch's own. A second pool beside them would be slower to wake and compete for the cores.

SHARED = 1 << 16  # fewest elements that the library shares out


class _Team(ctypes.Structure):
    """The context of bitdrop_openmp in _openmp.c."""

    _fields_ = (("parallel", ctypes.c_void_p), ("threads", ctypes.c_uint))


def _find_openmp() -> int | None:
    """Address of GOMP_parallel in PyTorch's OpenMP runtime. None if there is none: not on Linux, or another pool."""
    try:
        # The handle finds what this library depends on, and no other OpenMP that the process may hold.
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        return ctypes.cast(library.GOMP_parallel, ctypes.c_void_p).value
    except (OSError, AttributeError):
        return None


_openmp = _find_openmp()
_run = _library.Parallel.in_dll(_library.library, "bitdrop_openmp").run


def _stay_alone() -> None:
    global _openmp
    _openmp = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stay_alone)  # libgomp waits there for threads that the fork left behind


@functools.lru_cache(maxsize=8)
def _team(threads: int) -> tuple[_library.Parallel, _Team]:
    context = _Team(_openmp, threads)
    return _library.Parallel(_run, ctypes.addressof(context), threads), context  # the first points to the second


def share(config: _library.Config) -> object:
    """Let PyTorch's threads run the tasks of a call. What is returned must live until the call has ended."""
    threads = torch.get_num_threads()
    if threads == 1 or _openmp is None:
        return None
    team = _team(threads)
    config.parallel = ctypes.addressof(team[0])
    return team


# ---- Stores.

_LARGE = 8 << 20  # bytes from which streaming pays in a model, where the other tensors want the cache too
_HUGE_PAGE = 2 << 20
_MADV_HUGEPAGE = 14

_libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
if _libc is not None:
    _libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
    _libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def _untouched(y: Tensor) -> bool:
    """True if the middle of y has no page: it was never touched or, which costs speed only, is swapped out."""
    resident = ctypes.create_string_buffer(1)
    middle = (y.data_ptr() + y.nbytes // 2) & -mmap.PAGESIZE
    return _libc.mincore(middle, 1, resident) == 0 and not resident.raw[0] & 1


def choose_stores(y: Tensor) -> int:
    """How to write y, which goes by the whole tensor and not by a thread's part.

    A page that the OS zeroes at its first touch is in the cache then: streaming would take it to memory twice. With
    huge pages these first touches take a third of the time.
    """
    if y.nbytes < _LARGE:
        return _library.STORES_AUTO
    if _libc is None or not _untouched(y):
        return _library.STORES_STREAMING
    begin = (y.data_ptr() + _HUGE_PAGE - 1) & -_HUGE_PAGE
    end = (y.data_ptr() + y.nbytes) & -_HUGE_PAGE
    _libc.madvise(begin, end - begin, _MADV_HUGEPAGE)  # until it is unmapped; where it fails, slower
    return _library.STORES_CACHED


# ---- Kernels. Of tensors that are not contiguous they make copies.


functions: list[Any] = []  # all that bitdrop.torch calls, for report() to listen to


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
    """The result. Leaves config as it is: several calls, of several threads too, may have it."""
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
    """Room for the mask of x: ceil(n / 8) bytes."""
    return x.new_empty((x.numel() + 7) // 8, dtype=torch.uint8)


def forward(x: Tensor, config: _library.Config) -> tuple[Tensor, Tensor]:
    """The result and the mask."""
    mask = new_mask(x)
    return _call_flat(_c_forward, config, x, mask.data_ptr()), mask


def backward(dy: Tensor, mask: Tensor, p: float) -> Tensor:
    """The gradient of x, by the mask."""
    return _call_flat(_c_backward, _library.Config(p), dy, mask.data_ptr())


def recompute(x: Tensor, config: _library.Config) -> Tensor:
    """The result or, given dy in the place of x, the gradient of x, by the seed."""
    return _call_flat(_c_recompute, config, x)
