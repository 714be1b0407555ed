# SPDX-License-Identifier: Apache-2.0
"""enable() and compiled, exported and traced code; and PyTorch's caches, which could contain the previous dropout."""

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from interpreter import python
from seeded import same, seeded
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import bitdrop.torch as bt
from bitdrop.torch import _kernels

ONES = torch.ones(100)


def three(x: Tensor) -> Tensor:
    return F.dropout(x, 0.5), F.dropout(x, 0.5), F.dropout(x, 0.5)


def test_compiled_code_follows_the_switch(dropped: list[int]) -> None:
    x = torch.ones(3000, requires_grad=True)
    f = torch.compile(three, fullgraph=True)
    for switch, count in ((None, 0), (bt.enable, 3), (bt.disable, 0), (bt.enable, 3), (bt.disable, 0)):
        if switch is not None:
            switch()
        dropped.clear()
        outputs = f(x)
        assert len(dropped) == count
        assert len({tuple(y.tolist()) for y in outputs}) == 3
        for y in outputs:
            (grad,) = torch.autograd.grad(y, x, torch.ones_like(y), retain_graph=True)
            same(grad, 2 * (y != 0).float())


@pytest.mark.usefixtures("enabled")
def test_compiled_with_a_memory_budget() -> None:
    w = torch.rand(32, 32, requires_grad=True)
    x = torch.rand(32, 32, requires_grad=True)

    def f(x: Tensor) -> tuple[Tensor, Tensor]:
        a = F.dropout(torch.relu(x @ w))
        return a, F.dropout(torch.sin(a @ w), inplace=True)

    for budget in (0.1, 0.5, 0.9):
        torch.compiler.reset()
        with torch._functorch.config.patch(activation_memory_budget=budget):
            a, b = torch.compile(f, backend="aot_eager", fullgraph=True)(x)
            got = torch.autograd.grad([a, b], [x, w], [a.detach(), b.detach()])
        masks = [2 * (y != 0).float() for y in (a, b)]
        assert not torch.equal(*masks)
        plain_a = torch.relu(x @ w) * masks[0]
        plain = [plain_a, torch.sin(plain_a @ w) * masks[1]]
        torch.testing.assert_close(got, torch.autograd.grad(plain, [x, w], [a.detach(), b.detach()]))


@pytest.mark.usefixtures("enabled")
def test_compiled_checkpoint() -> None:
    torch.compiler.reset()
    x = torch.randn(3000, requires_grad=True)

    def f(x: Tensor) -> Tensor:
        return checkpoint(lambda x: F.dropout(F.dropout(torch.sin(x)) * 3), x, use_reentrant=False)

    y = torch.compile(f, backend="aot_eager", fullgraph=True)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, 12 * torch.cos(x) * (y != 0))


@pytest.mark.usefixtures("enabled")
def test_compiled_with_dynamic_shapes(dropped: list[int]) -> None:
    torch.compiler.reset()
    f = torch.compile(lambda x: F.dropout(x * 1, 0.3), backend="aot_eager", fullgraph=True, dynamic=True)
    for n in (9, 33, 70):
        same(seeded(f, torch.ones(n)), seeded(F.dropout, torch.ones(n), 0.3))
    evaluated = torch.compile(lambda x: F.dropout(x, 0.3, False) + 1, backend="aot_eager", fullgraph=True)
    dropped.clear()
    same(evaluated(ONES), ONES + 1)
    assert dropped == []


@pytest.mark.usefixtures("enabled")
def test_compiled_lstm(dropped: list[int]) -> None:
    """Dynamo does not compile nn.LSTM. Its C++ code calls bitdrop's kernels and formulas outside of any graph."""
    torch.compiler.reset()
    lstm = nn.LSTM(8, 8, 2, dropout=0.5)

    def gradient(x: Tensor) -> Tensor:
        return torch.autograd.grad(lstm(x)[0].sum(), x)[0]

    compiled = torch.compile(gradient, backend="eager")
    sizes = [_kernels.SHARED // 8 + i for i in (0, 1, 2)]  # from the second size on, Dynamo makes sizes symbolic
    for rows in sizes:
        x = torch.randn(1, rows, 8, requires_grad=True)
        torch.testing.assert_close(seeded(compiled, x), seeded(gradient, x))
    assert dropped == [8 * rows for rows in sizes for _ in range(4)]  # forward and backward, compiled and eager


@pytest.mark.usefixtures("enabled")
def test_compiled_modules(dropped: list[int]) -> None:
    x = torch.randn(5, 2, 8, requires_grad=True)
    cases: list[tuple[nn.Module, Callable[[nn.Module, Tensor], Any], list[int]]] = [
        (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5), lambda m, x: m(x), [100, 80, 160, 80]),
        (nn.MultiheadAttention(8, 2, dropout=0.5), lambda m, x: m(x, x, x, need_weights=True)[0], [100]),
        (nn.LSTM(8, 8, num_layers=2, dropout=0.5), lambda m, x: m(x)[0], [80]),
        (nn.AlphaDropout(0.5), lambda m, x: m(x), [80]),
        (nn.Dropout1d(0.5), lambda m, x: m(x), [80]),
    ]
    for module, call, sizes in cases:
        torch.compiler.reset()
        torch._dynamo.utils.counters.clear()
        dropped.clear()
        y = torch.compile(call, backend="aot_eager")(module, x)
        assert dropped == sizes, module
        # For nn.LSTM, Dynamo compiles one frame, and no function of bitdrop.
        assert torch._dynamo.utils.counters["frames"]["total"] == 1, module
        y.sum().backward()


CACHE = """
import sys, torch, bitdrop.torch
from bitdrop.torch import _kernels
from torch._dynamo.utils import counters
calls = []
call = _kernels._call_flat
_kernels._call_flat = lambda *args: calls.append(1) or call(*args)
if sys.argv[1:] == ["on"]:
    bitdrop.torch.enable()
x = torch.ones(3000, requires_grad=True)
y = torch.compile(lambda x: torch.nn.functional.dropout(x.sin(), 0.5))(x)
found, forward_calls = counters["aot_autograd"], len(calls)
y.sum().backward()
print(forward_calls, found["autograd_cache_hit"], torch.equal(x.grad != 0, y != 0))
"""


def test_cache_on_disk(tmp_path: Any) -> None:
    def outcome(on: bool) -> str:
        code = f"import sys; sys.argv = ['-c', {'on' if on else 'off'!r}]{CACHE}"
        done = python(code, TORCHINDUCTOR_CACHE_DIR=str(tmp_path), TORCHINDUCTOR_COMPILE_THREADS="1")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert [outcome(on) for on in (False, True, True)] == ["0 0 True", "1 0 True", "1 1 True"]


def test_cache_key_is_restored() -> None:
    config = torch.compiler.config
    tags: list[str] = []
    before = config.cache_key_tag
    bt.enable()
    thread = threading.Thread(target=lambda: tags.append(config.cache_key_tag))
    thread.start()
    thread.join()
    assert "bitdrop" in tags[0]
    bt.disable()
    assert config.cache_key_tag == before
    with config.patch(cache_key_tag="mine"):
        bt.enable()
        assert config.cache_key_tag.startswith("mine;bitdrop")
        bt.disable()
        assert config.cache_key_tag == "mine"
    assert config.cache_key_tag == before


@pytest.mark.usefixtures("enabled")
def test_export_keeps_the_operator(dropped: list[int]) -> None:
    net, x = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), torch.randn(4, 8)
    for strict in (False, True):
        program = torch.export.export(net, (x,), strict=strict)
        targets = [str(node.target) for node in program.graph.nodes]
        assert "aten.dropout.default" in targets
        dropped.clear()
        program.module()(x)
        assert dropped == [32]
        targets = [str(node.target) for node in program.run_decompositions().graph.nodes]
        assert not any("bitdrop" in target for target in targets), targets


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("enabled")
def test_torchscript_keeps_the_operator(dropped: list[int]) -> None:
    net, x = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), torch.randn(4, 8)
    for compiled in (torch.jit.trace(net, (x,), check_trace=False), torch.jit.script(copy.deepcopy(net))):
        dropped.clear()
        y = compiled(x)
        assert dropped == [32]
        y.sum().backward()
        assert "aten::dropout" in str(compiled.inlined_graph)
