# SPDX-License-Identifier: Apache-2.0
"""bitdrop.torch.report lists every dropout of a step and its handler, in eager and compiled code."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import bitdrop.torch as bt
from bitdrop.torch import _kernels, _report
from bitdrop.torch._report import BITDROP, NOT_SEEN, PYTORCH

X = torch.randn(5, 3, 4)


class Everywhere(nn.Module):
    """A model that drops by modules, by functions, and from C++ code."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.3)
        self.read = nn.Dropout(0.125)
        self.lstm = nn.LSTM(4, 4, num_layers=2, dropout=0.2)
        self.attention = nn.MultiheadAttention(4, 2, dropout=0.1)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = F.dropout(self.drop(x), self.read.p)
        x = F.alpha_dropout(F.dropout1d(x), 0.4, training=True)
        x = torch.dropout_(torch.native_dropout(x, 0.6, True)[0], 0.7, True)
        x, _ = self.lstm(F.dropout(F.dropout(x, 0.9, training=False), 0.0))
        x, _ = self.attention(x, x, x, need_weights=False)
        return bt.feature_dropout(bt.dropout(x, 0.8), 0.15)


# operator, module, shape, p, handler
STOCK = [
    ("aten::dropout", "drop", (5, 3, 4), 0.3, PYTORCH),
    ("aten::dropout", "(the model)", (5, 3, 4), 0.125, PYTORCH),
    ("aten::feature_dropout", "(the model)", (5, 3, 4), 0.5, PYTORCH),
    ("aten::alpha_dropout", "(the model)", (5, 3, 4), 0.4, PYTORCH),
    ("aten::native_dropout", "(the model)", (5, 3, 4), 0.6, PYTORCH),
    ("aten::dropout_", "(the model)", (5, 3, 4), 0.7, PYTORCH),
    ("aten::lstm", "lstm", (5, 3, 4), 0.2, PYTORCH),
    ("aten::scaled_dot_product_attention", "attention", (3, 2, 5, 5), 0.1, PYTORCH),
    ("bitdrop::dropout", "(the model)", (5, 3, 4), 0.8, BITDROP),
    ("bitdrop::feature_dropout", "(the model)", (5, 3, 4), 0.15, BITDROP),
]


def seen(report: bt.Report) -> list[tuple[Any, ...]]:
    return [(row.operator, row.module, row.shape, row.p, row.handler) for row in report.rows]


def line_of(text: str) -> str:
    with open(__file__) as file:
        return f"{__name__}.py:{next(i for i, line in enumerate(file, 1) if text in line)}"


@contextmanager
def stock_dropout_overridden() -> Iterator[None]:
    """Register a kernel of bitdrop for aten::dropout, which PyTorch then calls also from C++."""
    with torch.library._scoped_library("aten", "IMPL") as library:
        for key in ("CPU", "AutogradCPU"):
            library.impl("dropout", bt.dropout, key)
        yield


def test_every_dropout_of_a_step() -> None:
    model = Everywhere()
    report = bt.report(lambda: model(X).sum().backward(), model)
    assert seen(report) == STOCK
    assert [row.elements for row in report.rows] == [60] * 7 + [150] + [60] * 2
    assert all(row.calls == 1 for row in report.rows)
    assert [row.site.rpartition("/")[2] for row in report.rows[:3]] == [
        line_of("F.dropout(self.drop(x), self.read.p)"),
        line_of("F.dropout(self.drop(x), self.read.p)"),
        line_of("F.alpha_dropout(F.dropout1d(x)"),
    ]
    assert report.rows[7].site.endswith(line_of("x, _ = self.attention(x"))
    assert report.coverage == 120 / 690
    assert (report.elements(BITDROP), report.elements(PYTORCH)) == (120, 570)
    text = str(report)
    assert "bitdrop handled 17.4% of 690 elements" in text
    assert "3 x 2 x 5 x 5" in text
    assert bt.report(lambda: model(X)).rows[0].module == "Dropout"


def test_patched() -> None:
    model = Everywhere()
    bt.patch(model)
    report = bt.report(lambda: model(X).sum().backward(), model)
    assert seen(report) == [("bitdrop::dropout", *STOCK[0][1:4], BITDROP), *STOCK[1:]]
    assert report.idle == ("read",)
    assert "never called, though bitdrop's: read" in str(report)
    assert bt.report(lambda: model.eval()(X), model).idle == ()


def test_kernels_that_pytorch_calls() -> None:
    model = Everywhere()
    with stock_dropout_overridden():
        report = bt.report(lambda: model(X).sum().backward(), model)
    ours = [row.operator for row in report.rows if row.handler == BITDROP]
    assert ours[:2] == ["aten::dropout"] * 2
    assert ours[-4:-2] == ["aten::lstm", "aten::scaled_dot_product_attention"]
    assert [row[:4] for row in seen(report)] == [row[:4] for row in STOCK]
    assert report.elements(PYTORCH) == 4 * 60


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoint_counts_once(use_reentrant: bool) -> None:
    x = torch.randn(3000, requires_grad=True)

    def block(x: Tensor) -> Tensor:
        return F.dropout(bt.dropout(x, 0.5), 0.5)

    report = bt.report(lambda: checkpoint(block, x, use_reentrant=use_reentrant).sum().backward())
    assert [(row.calls, row.elements, row.handler) for row in report.rows] == [(1, 3000, BITDROP), (1, 3000, PYTORCH)]
    assert report.coverage == 0.5


def test_one_number() -> None:
    report = bt.report(lambda: F.dropout(bt.dropout(torch.tensor(1.0), 0.25)))
    assert seen(report) == [("bitdrop::dropout", "", (), 0.25, BITDROP), ("aten::dropout", "", (), 0.5, PYTORCH)]
    assert report.elements() == 2


def test_calls_add_up() -> None:
    report = bt.report(lambda: [bt.dropout(X[:n], 0.5) for n in (2, 2, 4)])
    assert [(row.shape, row.calls, row.elements) for row in report.rows] == [((2, 3, 4), 2, 48), ((4, 3, 4), 1, 48)]


def test_every_operator() -> None:
    x, image = torch.randn(6, 4), torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    for name, call, shape in (
        ("alpha_dropout", lambda: bt.alpha_dropout(x, 0.5, True), (6, 4)),
        ("alpha_dropout", lambda: bt.feature_alpha_dropout(image, 0.5, True), (2, 3, 4, 5)),
        ("feature_dropout", lambda: bt.feature_dropout(image, 0.5), (2, 3, 4, 5)),
        ("feature_dropout", lambda: bt.DropPath(0.5)(x), (6, 4)),
        ("dropout_add", lambda: bt.dropout_add(x, x, 0.5, bias=x[0]), (6, 4)),
        ("activation_dropout", lambda: bt.activation_dropout(x, 0.5, "silu"), (6, 4)),
        ("dropout", lambda: bt.dropout(x.double().t(), 0.5), (4, 6)),
    ):
        assert seen(bt.report(call))[0] in [
            (f"bitdrop::{name}", module, shape, 0.5, BITDROP) for module in ("", "DropPath")
        ]


def test_operators_and_transforms() -> None:
    seed = torch.tensor(1)
    report = bt.report(lambda: torch.ops.bitdrop.dropout(X, seed, 0.5))
    assert seen(report) == [("bitdrop::dropout", "", (5, 3, 4), 0.5, BITDROP)]
    report = bt.report(lambda: torch.func.vmap(bt.dropout, randomness="different")(X))
    assert report.elements(BITDROP) == report.elements() == 60


def test_compiled() -> None:
    def ours(x: Tensor) -> Tensor:
        return bt.dropout(x * 2, 0.25)

    def both(x: Tensor) -> Tensor:
        return F.dropout(ours(x), 0.5)

    x = torch.randn(100, requires_grad=True)
    for backend, function, handlers in (
        ("aot_eager", both, {BITDROP, PYTORCH}),
        ("inductor", ours, {BITDROP}),
        ("inductor", both, {BITDROP, NOT_SEEN}),
    ):
        torch._dynamo.reset()
        compiled = torch.compile(function, backend=backend)
        if backend == "inductor":
            compiled(x)  # compiles now: report() does not count what runs during compilation
        report = bt.report(lambda compiled=compiled: compiled(x).sum().backward())
        assert {row.handler for row in report.rows} == handlers
        assert all(row.elements in (100, None) for row in report.rows)
        assert report.elements(BITDROP) == 100
        assert ("1 compiled regions may contain" in str(report)) == (NOT_SEEN in handlers)


def test_inductors_files_below_sys_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile omits the folder of sys.path from a file's path. Inductor's cache may be below such a folder."""
    import torch._inductor.runtime.cache_dir_utils as utils

    monkeypatch.setattr(utils, "cache_dir", lambda: str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "torch._inductor", torch._inductor)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "of_inductor.py").write_text("without any")
    assert not _report._is_inductors("cache/of_inductor.py")
    monkeypatch.syspath_prepend(tmp_path)
    assert _report._is_inductors("cache/of_inductor.py")
    assert not _report._holds_dropout("cache/of_inductor.py")


def test_other_threads() -> None:
    def step() -> None:
        thread = threading.Thread(target=bt.dropout, args=(X, 0.5))
        thread.start()
        thread.join()

    assert bt.report(step).elements(BITDROP) == 60


def test_no_dropout() -> None:
    report = bt.report(lambda: X + 1)
    assert (report.rows, report.coverage) == ((), 1.0)
    assert "100.0% of 0 elements" in str(report)


def test_nothing_stays() -> None:
    """After a report, also after an error, the library's functions have no errcheck."""

    def fail() -> None:
        bt.report(lambda: None)

    with pytest.raises(RuntimeError, match=r"bitdrop.*running already"):
        bt.report(fail)
    with torch.profiler.profile(), pytest.raises(RuntimeError, match=r"bitdrop.*running already"):
        bt.report(lambda: None)
    assert len(_kernels.functions) > 2
    assert all(function.errcheck is None for function in _kernels.functions)
    assert bt.report(lambda: bt.dropout(X)).coverage == 1.0
