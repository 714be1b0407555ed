# SPDX-License-Identifier: Apache-2.0
"""enable and disable: they make bitdrop run PyTorch's dropout operators in the whole process."""

import gc
import re
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor
from torch.autograd import forward_ad
from torch.compiler import is_compiling
from torch.utils import checkpoint
from torch.utils._python_dispatch import _disable_current_modes

from .. import __version__
from ..errors import MissingPackageError
from . import _attention, _variants
from ._dropout import check_inplace, dropout, dropout_eager, overlaps
from ._dtensor import is_dtensor, refused_placements
from ._eager import dispatch_modes, has_storage, is_exporting, is_plain_type, transforming, untraced
from ._kernels import DTYPES
from ._operators import traced_seed

_OLDEST = (2, 7)  # version of PyTorch that enable() needs
_TESTED = (2, 13)  # newest version that the tests were run with
_TAG = f";bitdrop {__version__}"

_aten = torch.ops.aten
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_PYTHON = torch._C.DispatchKey.Python
_PYTHON_DISPATCHER = torch._C.DispatchKey.PythonDispatcher


# ---- PyTorch's own dropout.


def _stock(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Call op as PyTorch does without enable(). op consists of other operators, so any tensor and tracer will do."""
    if torch._C._dispatch_tls_is_dispatch_key_included(_PYTHON_DISPATCHER):
        return op.decompose(*args, **kwargs)
    return op._op_dk(_COMPOSITE, *args, **kwargs)


# ---- Which tensors bitdrop handles. The dispatcher ensures that a tensor is on the CPU or nested, and is not sparse.


def _is_plain(x: Tensor) -> bool:
    """True if is_eager(x) is, and there is no forward-mode level. Makes fewer tests than is_eager()."""
    return (
        is_plain_type(type(x))
        and x.dtype in DTYPES
        and has_storage(x)
        and forward_ad._current_level < 0
        and not (dispatch_modes() or x.is_neg() or x._is_zerotensor() or transforming())
    )


def _is_traced(x: Tensor) -> bool:
    """True if bitdrop's operators support x although is_eager(x) is False."""
    return (
        x.dtype in DTYPES
        and x.layout is torch.strided
        and forward_ad._current_level < 0
        and (isinstance(x, FakeTensor | FunctionalTensor) or not torch._C._dispatch_keys(x).has(_PYTHON))
        and not (transforming() or is_exporting())
    )


def _is_taken(x: Tensor) -> bool:
    """True if x is nested or a DTensor, and dropout() supports it in eager mode."""
    if x.dtype not in DTYPES or x.device.type != "cpu" or not x.numel():
        return False
    if is_compiling() or dispatch_modes() or transforming() or forward_ad._current_level >= 0:
        return False
    return x.is_nested or (is_dtensor(x) and not refused_placements(x))


# ---- Kernels.


def _dropout(input: Tensor, p: float, train: bool) -> Tensor:
    if 0.0 <= p <= 1.0:
        if _is_plain(input):
            return dropout_eager(input, p, False, None) if train and p != 0.0 and input.numel() != 0 else input
        if train and p != 0.0 and _is_traced(input):
            return torch.ops.bitdrop.dropout(input, traced_seed(), p)[0]
        if train and p != 0.0 and _is_taken(input):
            return dropout(input, p)
    return _stock(_aten.dropout.default, input, p, train)


def _dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    if train and 0.0 < p <= 1.0:
        if _is_plain(input):
            if input.is_contiguous() or not overlaps(input):
                return input.copy_(dropout_eager(input, p, False, None))
        elif _is_traced(input):
            with _disable_current_modes():  # the modes would trace the check
                check_inplace(input)
            return input.copy_(torch.ops.bitdrop.dropout(input, traced_seed(), p)[0])
        elif _is_taken(input):
            return dropout(input, p, inplace=True)
    return _stock(_aten.dropout_.default, input, p, train)


def _nested(op: Any, inplace: bool) -> Callable[..., Tensor]:
    """A kernel for nested tensors of both layouts, on any device."""

    def kernel(input: Tensor, p: float, train: bool) -> Tensor:
        if train and 0.0 < p <= 1.0 and _is_taken(input):
            return dropout(input, p, inplace=inplace)
        return _stock(op, input, p, train)

    return kernel


def _variant(op: Any, name: str, dimensions: int, inplace: bool) -> Callable[..., Tensor]:
    function = getattr(_variants, name)

    def kernel(input: Tensor, p: float, train: bool) -> Tensor:
        if train and 0.0 < p <= 1.0 and input.dim() >= dimensions and (_is_plain(input) or _is_traced(input)):
            return function(input, p, True, inplace)
        return _stock(op, input, p, train)

    return kernel


def _attend(query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The kernel of attention. args are attn_mask, dropout_p and is_causal; kwargs are scale and enable_gqa.

    If bitdrop refuses the call, PyTorch's own function runs and calls dropout, which is then bitdrop's.
    """
    if len(args) >= 2 and args[1] > 0.0 and all(_is_plain(x) or _is_traced(x) for x in (query, key, value)):
        attn_mask, dropout_p, is_causal = (*args, False)[:3]
        arguments = (query, key, value, attn_mask, dropout_p, is_causal)
        scale, gqa = kwargs.get("scale"), kwargs.get("enable_gqa", False)
        if _attention.why_not(*arguments, scale, gqa) is None:
            return _attention.scaled_dot_product_attention(*arguments, scale=scale, enable_gqa=gqa)
    return _stock(_aten.scaled_dot_product_attention.default, query, key, value, *args, **kwargs)


def _without_grad(kernel: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The same kernel for the CPU key. It runs in inference mode, or within another operator that has a derivative."""

    def below(*args: Any, **kwargs: Any) -> Tensor:
        with torch.no_grad():
            return kernel(*args, **kwargs)

    return below


def _kernels() -> dict[Any, Callable[..., Tensor]]:
    kernels: dict[Any, Callable[..., Tensor]] = {_aten.dropout.default: _dropout, _aten.dropout_.default: _dropout_}
    for name, dimensions in (("alpha_dropout", 0), ("feature_alpha_dropout", 2), ("feature_dropout", 2)):
        for suffix in ("", "_"):
            op = getattr(_aten, name + suffix).default
            kernels[op] = _variant(op, name, dimensions, suffix != "")
    kernels[_aten.scaled_dot_product_attention.default] = _attend
    return kernels


# ---- The switch.

_lock = threading.Lock()
_library: torch.library.Library | None = None
_warned = False


def _check_version() -> None:
    global _warned
    found = re.match(r"(\d+)\.(\d+)", torch.__version__)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    oldest, tested = (".".join(map(str, v)) for v in (_OLDEST, _TESTED))
    if version < _OLDEST:
        raise MissingPackageError(
            f"bitdrop: enable() needs PyTorch {oldest} or newer, and this is {torch.__version__}: pip install -U torch"
        )
    if version > _TESTED and not _warned:
        _warned = True
        warnings.warn(
            f"bitdrop: enable() was tested with PyTorch up to {tested}, and this is {torch.__version__}: "
            "update bitdrop, or run your tests with it",
            stacklevel=3,
        )


def _tag_caches(old: str, new: str) -> None:
    """Replace old by new in cache_key_tag, which is a part of the keys of PyTorch's caches of compiled code.

    These caches may be on disk. Since PyTorch 2.12, only the assigning thread sees an assignment to the configuration.
    All threads see the default from the environment, but an assignment takes precedence over it.
    """
    config: Any = torch.compiler.config
    tag = str(config.cache_key_tag).replace(old, "") + new
    entry = config._config["cache_key_tag"]
    entry.env_value_default = tag
    if config.cache_key_tag != tag:
        config.cache_key_tag = tag


def _forget_compiled() -> None:
    """Empty the caches: compiled code contains the previous dropout, and the Python dispatcher its kernels."""
    for op in _kernels():
        op._dispatch_cache.clear()
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()


def _refuse_repetition(*_: Any, **__: Any) -> Any:
    raise RuntimeError(
        "bitdrop: enable() or disable() was called between the forward and the backward pass of a checkpoint, which "
        "would repeat the forward pass with other masks: call them between training steps"
    )


def _refuse_checkpoints() -> None:
    """Make the backward passes of checkpoints raise an error if their forward pass has run: gradients would be wrong.

    Only the garbage collector can list these checkpoints. With reentrant autograd they are nodes of the graph, and
    without it they are frames.
    """
    frame, node = checkpoint._CheckpointFrame, checkpoint.CheckpointFunction._backward_cls
    waiting: list[Any] = [x for x in gc.get_objects() if type(x) is frame or type(x) is node]
    for x in waiting:
        setattr(x, "recompute_fn" if type(x) is frame else "run_function", _refuse_repetition)


def _cache_attribute() -> None:
    """Make torch.dropout an attribute of torch._VF. F.dropout would otherwise find it by a slow __getattr__."""
    vars(torch._VF).setdefault("dropout", torch.dropout)


def _uncache_attribute() -> None:
    if vars(torch._VF).get("dropout") == torch.dropout:
        del torch._VF.dropout


def enable() -> None:
    """Make bitdrop run the dropout of this process, in eager and compiled code, whatever code calls it.

    Covered, for float32, float64, float16 and bfloat16 on the CPU: torch.dropout, alpha_dropout, feature_dropout and
    feature_alpha_dropout, also in place; therefore also F.dropout, nn.Dropout, nn.Dropout1d to 3d, nn.AlphaDropout,
    nn.LSTM, nn.GRU, nn.RNN and nn.MultiheadAttention; and F.scaled_dot_product_attention with dropout_p > 0. If
    bitdrop's kernels do not support a call of attention (for example, because its mask requires grad), PyTorch computes
    the attention, and bitdrop runs the dropout in it.

    In eager mode, nested and jagged tensors and DTensors are covered as by bitdrop.torch.dropout.

    PyTorch's own code runs as before, without a warning, for other devices, dtypes and layouts, for other tensor
    subclasses with a __torch_dispatch__, and under torch.func and forward-mode derivatives. It also runs if nothing is
    dropped. Programs of torch.export keep aten.dropout. A model that computes dropout with torch.bernoulli or
    torch.rand does not call PyTorch's dropout operators, and is not changed.

    enable() has effect in all threads and in forked children. A process that is started in another way (the spawn
    method of multiprocessing, torchrun) must call enable() itself, or run under python -m bitdrop.torch. Code compiled
    before is compiled again. A second call has no effect.

    Call enable() and disable() between training steps. If one of them is called between a forward pass and its backward
    pass, the backward pass still has the masks of the forward pass. But activation checkpointing would repeat the
    forward pass with other masks, so its backward pass raises RuntimeError.

    Raises MissingPackageError if PyTorch is older than 2.7. Warns once if PyTorch is newer than the versions tested.
    """
    global _library
    with _lock:
        if _library is not None:
            return
        _check_version()
        library = torch.library.Library("aten", "IMPL")
        for op, kernel in _kernels().items():
            library.impl(op, untraced(kernel), "AutogradCPU")
            library.impl(op, untraced(_without_grad(kernel)), "CPU")
        # Not for NestedTensorCPU, the key of inference mode: PyTorch's dispatcher could not undo that.
        for op, inplace in ((_aten.dropout.default, False), (_aten.dropout_.default, True)):
            library.impl(op, untraced(_nested(op, inplace)), "AutogradNestedTensor")
        _cache_attribute()
        _library = library
        _tag_caches(_TAG, _TAG)
        _forget_compiled()
        _refuse_checkpoints()


def disable() -> None:
    """Undo enable(). Call it between training steps. It has no effect if bitdrop is not enabled."""
    global _library
    with _lock:
        if _library is None:
            return
        _uncache_attribute()
        _library._destroy()
        _library = None
        _tag_caches(_TAG, "")
        _forget_compiled()
        _refuse_checkpoints()


def is_enabled() -> bool:
    """Whether enable() is in effect: True after enable(), False after disable()."""
    return _library is not None
