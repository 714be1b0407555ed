# SPDX-License-Identifier: Apache-2.0
"""enable and disable: the operators of PyTorch that drop, by bitdrop, in the whole process."""

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

_OLDEST = (2, 7)
_TESTED = (2, 13)  # the newest
_TAG = f";bitdrop {__version__}"

_aten = torch.ops.aten
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_PYTHON = torch._C.DispatchKey.Python
_PYTHON_DISPATCHER = torch._C.DispatchKey.PythonDispatcher


# ---- PyTorch's own.


def _stock(op: Any, *args: Any, **kwargs: Any) -> Any:
    """What op does without the switch, on every kind of tensor and under any tracer: it is made of other operators."""
    if torch._C._dispatch_tls_is_dispatch_key_included(_PYTHON_DISPATCHER):
        return op.decompose(*args, **kwargs)
    return op._op_dk(_COMPOSITE, *args, **kwargs)


# ---- What is taken. The dispatcher has seen to it that the tensor is on the CPU or nested, and is not sparse.


def _is_plain(x: Tensor) -> bool:
    """is_eager() with fewer questions, and no tangent."""
    return (
        is_plain_type(type(x))
        and x.dtype in DTYPES
        and has_storage(x)
        and forward_ad._current_level < 0
        and not (dispatch_modes() or x.is_neg() or x._is_zerotensor() or transforming())
    )


def _is_traced(x: Tensor) -> bool:
    """True if bitdrop's operators take x where is_eager() does not."""
    return (
        x.dtype in DTYPES
        and x.layout is torch.strided
        and forward_ad._current_level < 0
        and (isinstance(x, FakeTensor | FunctionalTensor) or not torch._C._dispatch_keys(x).has(_PYTHON))
        and not (transforming() or is_exporting())
    )


def _is_taken(x: Tensor) -> bool:
    """True if dropout() takes x, which is nested or a DTensor, as it is in eager mode."""
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
            with _disable_current_modes():  # which would trace the check
                check_inplace(input)
            return input.copy_(torch.ops.bitdrop.dropout(input, traced_seed(), p)[0])
        elif _is_taken(input):
            return dropout(input, p, inplace=True)
    return _stock(_aten.dropout_.default, input, p, train)


def _nested(op: Any, inplace: bool) -> Callable[..., Tensor]:
    """For nested tensors of both layouts, on any device."""

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
    """attn_mask, dropout_p, is_causal; scale, enable_gqa. PyTorch's own calls dropout, which is bitdrop's."""
    if len(args) >= 2 and args[1] > 0.0 and all(_is_plain(x) or _is_traced(x) for x in (query, key, value)):
        attn_mask, dropout_p, is_causal = (*args, False)[:3]
        arguments = (query, key, value, attn_mask, dropout_p, is_causal)
        scale, gqa = kwargs.get("scale"), kwargs.get("enable_gqa", False)
        if _attention.why_not(*arguments, scale, gqa) is None:
            return _attention.scaled_dot_product_attention(*arguments, scale=scale, enable_gqa=gqa)
    return _stock(_aten.scaled_dot_product_attention.default, query, key, value, *args, **kwargs)


def _without_grad(kernel: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The same for the CPU key: in inference mode, or in the kernel of another operator, which has its own formula."""

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
    """Replace old by new in what PyTorch puts into the keys of its caches of compiled code, on disk too.

    An assignment to the configuration is seen by one thread alone from PyTorch 2.12 on. The default from the
    environment is seen by all, and counts for less than such an assignment.
    """
    config: Any = torch.compiler.config
    tag = str(config.cache_key_tag).replace(old, "") + new
    entry = config._config["cache_key_tag"]
    entry.env_value_default = tag
    if config.cache_key_tag != tag:
        config.cache_key_tag = tag


def _forget_compiled() -> None:
    """Code compiled so far has the other dropout in it, and the Python dispatcher its kernels."""
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
    """Refuse the backward passes of checkpoints whose forward pass has run: the gradients would be wrong.

    Only the garbage collector knows where they are: a frame without reentrant autograd, a node of the graph with it.
    """
    frame, node = checkpoint._CheckpointFrame, checkpoint.CheckpointFunction._backward_cls
    waiting: list[Any] = [x for x in gc.get_objects() if type(x) is frame or type(x) is node]
    for x in waiting:
        setattr(x, "recompute_fn" if type(x) is frame else "run_function", _refuse_repetition)


def _cache_attribute() -> None:
    """F.dropout finds torch.dropout by a slow __getattr__ of torch._VF: the same function as an attribute is faster."""
    vars(torch._VF).setdefault("dropout", torch.dropout)


def _uncache_attribute() -> None:
    if vars(torch._VF).get("dropout") == torch.dropout:
        del torch._VF.dropout


def enable() -> None:
    """Make bitdrop the dropout of this process: eager and compiled, called by whatever module, function or C++ code.

    Covered, for float32, float64, float16 and bfloat16 on the CPU: torch.dropout, alpha_dropout, feature_dropout and
    feature_alpha_dropout, also in place, hence F.dropout, nn.Dropout, nn.Dropout1d to 3d, nn.AlphaDropout, nn.LSTM,
    nn.GRU, nn.RNN and nn.MultiheadAttention, and F.scaled_dot_product_attention with dropout_p > 0. PyTorch computes
    attention that bitdrop's kernels cannot take (for example with a mask that requires grad), and bitdrop drops in it.

    In eager mode, dropout of nested and jagged tensors and of DTensors is what bitdrop.torch.dropout makes of them.

    PyTorch's own code runs as before, without a word, for other devices, dtypes and layouts, other tensor subclasses
    with a __torch_dispatch__, torch.func and forward-mode derivatives. It also runs where nothing is dropped. Programs
    of torch.export keep aten.dropout. Dropout that a model makes of torch.bernoulli or torch.rand is none of PyTorch's
    operators and stays as it is.

    The switch is for all threads, and for children that are forked. A process that is started anew (the spawn method
    of multiprocessing, torchrun) calls enable() itself, or is started under python -m bitdrop.torch. Compiled code is
    compiled again afterwards. Twice is once.

    Call enable() and disable() between training steps. A backward pass has the masks of its forward pass even if one of
    them was called in between, but activation checkpointing would repeat the forward pass with other masks, and is
    refused.

    Raises MissingPackageError with PyTorch before 2.7, and warns once with one that is newer than those tested.
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
        # Not for NestedTensorCPU, which inference mode takes: PyTorch's dispatcher could not undo that.
        for op, inplace in ((_aten.dropout.default, False), (_aten.dropout_.default, True)):
            library.impl(op, untraced(_nested(op, inplace)), "AutogradNestedTensor")
        _cache_attribute()
        _library = library
        _tag_caches(_TAG, _TAG)
        _forget_compiled()
        _refuse_checkpoints()


def disable() -> None:
    """Undo enable(), between training steps. Without enable() before, it does nothing."""
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
    """True between enable() and disable()."""
    return _library is not None
