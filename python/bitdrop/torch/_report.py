# SPDX-License-Identifier: Apache-2.0
"""report: which dropouts ran in a step, where, and whether bitdrop or PyTorch handled them.

PyTorch's profiler records every operator, also those that nn.LSTM or attention call from C++, and the Python frames
around them. It does not record bitdrop's kernels, because ctypes calls them. So the functions of the C library get an
errcheck during the step, which adds an event to the profile. While no report runs, this costs nothing.
"""

import functools
import itertools
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch._C._profiler import _EventType, _RecordFunctionFast

from .. import _library
from . import _kernels
from ._modules import Drawing

BITDROP, PYTORCH, NOT_SEEN = "bitdrop", "PyTorch", "compiled region, not seen"


@dataclass(frozen=True)
class Row:
    """All calls from one line of code that have the same module, operator, shape, p and handler."""

    site: str  # file:line of the innermost code that is neither PyTorch's nor bitdrop's
    module: str  # the innermost module around the call: its name in the model or, if it has none there, its class
    operator: str  # the operator that this code called: aten::lstm for dropout between the layers of an nn.LSTM
    shape: tuple[int, ...] | None  # of the tensor whose elements are dropped; None if it is not known
    p: float | None  # None if it is not known
    calls: int  # number of calls
    elements: int | None  # number of elements of the tensors of all calls; None if it is not known
    handler: str  # "bitdrop", "PyTorch" or "compiled region, not seen"


@dataclass(frozen=True)
class Report:
    """The result of report(). Rows are in the order of their first calls in the step."""

    rows: tuple[Row, ...]
    idle: tuple[str, ...] = field(default=())  # bitdrop's modules of the model that were never called

    def elements(self, handler: str | None = None) -> int:
        """The number of elements in the rows of a handler, or of all handlers. Unknown numbers count as 0."""
        return sum(row.elements or 0 for row in self.rows if handler in (None, row.handler))

    @property
    def coverage(self) -> float:
        """The share of all known elements that bitdrop handled, in [0, 1]; 1 if there was no dropout at all."""
        everything = self.elements()
        return self.elements(BITDROP) / everything if everything else float(not self.rows)

    def __str__(self) -> str:
        """The rows as a table, the share of bitdrop, and what the report could not see."""
        lines = [("handled by", "elements", "calls", "shape", "p", "operator", "module", "call site")]
        for row in self.rows:
            elements = "?" if row.elements is None else f"{row.elements:,}"
            shape = "?" if row.shape is None else " x ".join(map(str, row.shape))
            p = "?" if row.p is None else f"{row.p:.4g}"
            lines.append((row.handler, elements, str(row.calls), shape, p, row.operator, row.module, row.site))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        text.append(f"bitdrop handled {self.coverage:.1%} of {self.elements():,} elements")
        if unseen := sum(row.handler == NOT_SEEN for row in self.rows):
            text.append(
                f"{unseen} compiled regions may contain dropout that PyTorch made part of larger kernels, which "
                "report() cannot see: run the step without torch.compile"
            )
        if self.idle:
            text.append(f"never called, though bitdrop's: {', '.join(self.idle)}")
            text.append("  (the model may only read their p, and pass it to code of its own)")
        return "\n".join(text)


# ---- Calls of the C library.


class _Dropped(NamedTuple):
    """The members of a Row that one call determines, except its site and module."""

    operator: str
    shape: tuple[int, ...] | None
    p: float | None
    handler: str


_MARK = "bitdrop.torch.report "  # the event of a forward call has this name, followed by its index in marks


def _shape_of(arguments: tuple[Any, ...]) -> tuple[int, ...]:
    size = arguments[2]
    if isinstance(size, _library.Attention):
        return size.batch, size.heads, size.queries, size.keys
    shape = (size.rows, size.cols) if isinstance(size, _library.Shape2D) else (int(size),)
    y = sys._getframe(2).f_locals.get("y")  # of the function that called the library
    return tuple(y.shape) if isinstance(y, torch.Tensor) and y.numel() == math.prod(shape) else shape


class _Listener:
    """In a with block, the errcheck of the library's functions: ctypes calls it after each call of a function."""

    def __init__(self) -> None:
        self.marks: list[_Dropped] = []

    def __call__(self, status: int, function: Any, arguments: tuple[Any, ...]) -> int:
        p = arguments[0].p
        # Calls in a backward pass do not count. Activation checkpointing repeats calls there that were counted before.
        if p > 0 and "backward" not in function.__name__ and torch._C._current_graph_task_id() == -1:
            with _RecordFunctionFast(f"{_MARK}{len(self.marks)}"):
                pass
            self.marks.append(_Dropped(_operator(function.__name__, arguments), _shape_of(arguments), p, BITDROP))
        return status

    def __enter__(self) -> "_Listener":
        if any(function.errcheck is not None for function in _kernels.functions):
            raise RuntimeError("bitdrop: a report runs already: call report() from one place at a time")
        for function in _kernels.functions:
            function.errcheck = self
        return self

    def __exit__(self, *_: object) -> None:
        for function in _kernels.functions:
            del function.errcheck


_OPERATORS = {
    "": "dropout",
    "2d": "dropout",
    "alpha": "alpha_dropout",
    "add": "dropout_add",
    "act": "activation_dropout",
}


def _operator(c_name: str, arguments: tuple[Any, ...]) -> str:
    """The name of the operator whose kernel called this function of the library."""
    kind = re.sub("_?(forward|recompute)_?", "", c_name.removeprefix("bitdrop_"))
    size = arguments[2]
    if kind == "2d" and (size.unit or size.mask_repeat > 1):
        return "bitdrop::feature_dropout"
    return f"bitdrop::{_OPERATORS.get(kind, kind)}"


# ---- The profile. A node is an event, and has the index of its parent, the node around it.

_DROPOUTS = {
    f"aten::{name}{suffix}"
    for name in ("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout", "native_dropout")
    for suffix in ("", "_")
}
_ATTENTION = "aten::scaled_dot_product_attention"
_REGION = "Torch-Compiled Region"
_GRAPHS = ("<eval_with_key>", "torch/fx/interpreter.py")  # files in which aot_eager runs a graph; 2.7 uses the second


class _Node(NamedTuple):
    event: Any
    parent: int
    name: str  # of an operator, else ""
    file: str  # of a Python function, else ""


def _walk(roots: Iterable[Any]) -> list[_Node]:
    """The events of a profile in order of time, without backward passes and without compilation by Dynamo."""
    nodes: list[_Node] = []
    pending = [(event, -1) for event in reversed(list(roots))]
    while pending:
        event, parent = pending.pop()
        name = event.name if event.tag == _EventType.TorchOp else ""
        file = event.typed[1].callsite.file_name if event.tag == _EventType.PyCall else ""
        if name.startswith("autograd::engine::evaluate_function") or file.endswith("torch/_dynamo/convert_frame.py"):
            continue
        nodes.append(_Node(event, parent, name, file))
        pending += [(child, len(nodes) - 1) for child in reversed(event.children)]
    return nodes


def _path(nodes: list[_Node], index: int) -> list[_Node]:
    """A node and all nodes around it, from the innermost to the outermost."""
    path = []
    while index >= 0:
        path.append(nodes[index])
        index = nodes[index].parent
    return path


def _by_pytorch(node: _Node) -> _Dropped | None:
    """The dropout of an operator of PyTorch; None if it drops nothing."""
    if node.name not in _DROPOUTS and node.name != _ATTENTION:
        return None
    inputs = node.event.typed[1].inputs
    if node.name == _ATTENTION:
        p = inputs[4]
        shape = (*inputs[0].sizes[:-1], inputs[1].sizes[-2]) if p else None
    else:
        p = inputs[1] if inputs[2] is not False else 0.0
        shape = tuple(inputs[0].sizes) if hasattr(inputs[0], "sizes") else None
    return _Dropped(node.name, shape, float(p), PYTORCH) if p else None


def _full_path(file: str) -> Path:
    """The full path of a file in the profile. In the profile, a file below a folder of sys.path lacks that folder."""
    paths = (Path(folder, file) for folder in ("", *sys.path))
    return next((path for path in paths if path.is_absolute() and path.is_file()), Path(file))


def _is_inductors(file: str) -> bool:
    if "torch._inductor" not in sys.modules:  # not imported, so it has written no file; an import would take long
        return False
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    return Path(cache_dir()) in _full_path(file).parents


@functools.cache
def _is_users(file: str) -> bool:
    return not (file.startswith(("torch/", "bitdrop/", "<eval_with_key>", "<frozen ")) or _is_inductors(file))


def _site(path: list[_Node]) -> str:
    """file:line of the innermost frame that is neither PyTorch's nor bitdrop's."""
    line = 0
    for node in path:
        if node.file and _is_users(node.file):
            return f"{node.file}:{line or node.event.typed[1].callsite.line_number}"
        if node.event.tag in (_EventType.PyCall, _EventType.PyCCall):
            line = node.event.typed[1].caller.line_number  # a line of the next Python frame around this node
    return "?"


def _module(path: list[_Node], names: dict[int, str]) -> str:
    """The name of the innermost module that has one in the model; if none has, the class of the innermost module."""
    modules = [m for node in path if node.file and (m := node.event.typed[1].module) is not None]
    for module in modules:
        if module.self_ptr in names:
            return names[module.self_ptr] or "(the model)"
    return modules[0].cls_name if modules else ""


@functools.cache
def _holds_dropout(file: str) -> bool:
    """True if a file that Inductor wrote contains PyTorch's dropout, or cannot be read."""
    try:
        return re.search(r"native_dropout|bernoulli", _full_path(file).read_text()) is not None
    except OSError:
        return True


def _unseen_regions(nodes: list[_Node]) -> list[int]:
    """Indices of calls of compiled code that may contain dropout inside a larger kernel."""
    files: dict[int, set[str]] = {i: set() for i, node in enumerate(nodes) if node.name.startswith(_REGION)}
    around: list[int] = []  # the compiled region around each node, or -1
    for i, node in enumerate(nodes):
        around.append(i if i in files else around[node.parent] if node.parent >= 0 else -1)
        if files and node.file and around[i] >= 0:
            files[around[i]].add(node.file)
    unseen = []
    for i, of_region in files.items():
        if any(file.startswith(_GRAPHS) for file in of_region):
            continue  # the backend runs the operators of the graph, which the profile has
        inductors = [file for file in of_region if _is_inductors(file)]
        if not inductors or any(map(_holds_dropout, inductors)):
            unseen.append(i)
    return unseen


def _rows(nodes: list[_Node], marks: list[_Dropped], names: dict[int, str]) -> tuple[Row, ...]:
    found: dict[int, _Dropped] = {}  # by the index of its node
    missed = dict(enumerate(marks))
    for i, node in enumerate(nodes):
        if node.name.startswith(_MARK):
            found[i] = missed.pop(int(node.name.removeprefix(_MARK)))
        elif dropped := _by_pytorch(node):
            found[i] = dropped
    for i in list(found):  # if one found call contains another, only the inner one drops
        outer = nodes[i].parent
        while outer >= 0:
            found.pop(outer, None)
            outer = nodes[outer].parent
    for i in _unseen_regions(nodes):
        found[i] = _Dropped(nodes[i].name, None, None, NOT_SEEN)
    counts: Counter[tuple[str, str, _Dropped]] = Counter()
    for i, dropped in sorted(found.items()):
        path = _path(nodes, i)
        for node in itertools.takewhile(lambda node: not (node.file and _is_users(node.file)), path):
            if node.name.startswith(("aten::", "bitdrop::")):
                dropped = dropped._replace(operator=node.name)
        counts[_site(path), _module(path, names), dropped] += 1
    counts.update(("(another thread)", "", dropped) for dropped in missed.values())
    return tuple(
        Row(site, module, *dropped[:3], n, None if dropped.shape is None else n * math.prod(dropped.shape), dropped[3])
        for (site, module, dropped), n in counts.items()
    )


def _idle(model: nn.Module, nodes: list[_Node]) -> tuple[str, ...]:
    """Names of bitdrop's modules that are in training, have p > 0, and were not called.

    Returns () if there is compiled code, which hides calls.
    """
    if any(node.name.startswith(_REGION) for node in nodes):
        return ()
    called = {m.self_ptr for node in nodes if node.file and (m := node.event.typed[1].module) is not None}
    return tuple(
        name
        for name, module in model.named_modules()
        if isinstance(module, Drawing) and module.training and module.p > 0 and id(module) not in called
    )


# ---- The function.


def report(step: Callable[[], Any], model: nn.Module | None = None) -> Report:
    """Run step once, and report which dropouts ran, where, and whether bitdrop handled them.

    step is a function without arguments that runs a forward pass. It may also run the backward pass and the optimizer.
    Its result is ignored. If model is passed, rows have the names of its modules, and the report lists those of
    bitdrop's modules that were never called.

    Only dropout in the forward pass is counted, and not its repetition by activation checkpointing. The elements of
    attention are its probabilities: batch * heads * queries * keys. In code that torch.compile generated, the report
    sees bitdrop's operators. PyTorch's own dropout may be part of a larger kernel there; then the report has a row for
    the compiled region. Run a compiled model once before the report, because compilation takes much longer under the
    profiler.

    Raises RuntimeError if the profiler or another report is running. Exceptions of step are passed on.
    """
    if torch._C._autograd._profiler_enabled():
        raise RuntimeError(
            "bitdrop: report() runs PyTorch's profiler, which is running already: call it outside of that"
        )
    names = {} if model is None else {id(module): name for name, module in model.named_modules()}
    listener = _Listener()
    with (
        torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True, with_stack=True
        ) as profile,
        listener,
    ):
        step()
    nodes = _walk(profile.profiler.kineto_results.experimental_event_tree())
    return Report(_rows(nodes, listener.marks, names), () if model is None else _idle(model, nodes))
