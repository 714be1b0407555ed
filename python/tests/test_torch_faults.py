# SPDX-License-Identifier: Apache-2.0
"""bitdrop.torch in special cases of PyTorch: tensors without memory, graphs that are saved or freed, and unusual p."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import numpy as np
import torch.nn.functional as F
from interpreter import python
from seeded import MODES, OPS, same, seeded
from torch import Tensor, nn

import bitdrop.torch as bt
from bitdrop.torch._dropout import overlaps


def test_zero_tensors_without_memory() -> None:
    """Autograd uses such tensors for gradients and tangents that are 0."""
    x, zeros = torch.ones(3000, requires_grad=True), torch._efficientzerotensor((3000,))
    for function in (bt.dropout, lambda x: bt.alpha_dropout(x, 0.5, True), lambda x: bt.dropout_add(x, x)):
        assert function(zeros).shape == (3000,)
        (grad,) = torch.autograd.grad(function(x), x, zeros)
        assert not grad.any()
    bt.enable()
    try:
        assert not F.dropout(zeros).any()
    finally:
        bt.disable()


# ---- A second backward pass.


@MODES
@pytest.mark.parametrize("n", [8, 5000])
def test_second_backward_is_refused(recompute: bool, n: int) -> None:
    """As with PyTorch's dropout. Also if only a seed is kept, so that PyTorch has no saved tensor to free."""
    x = torch.randn(n, requires_grad=True)
    dy = torch.ones(n)
    for function in (
        lambda: bt.dropout(x, 0.5, recompute=recompute),
        lambda: OPS.dropout_recompute(x, torch.tensor(1), 0.5),
        lambda: bt.alpha_dropout(x, 0.5, True),
        lambda: bt.feature_dropout(x[:, None], 0.5)[:, 0],
        lambda: bt.dropout_add(x, x, 0.5),
        lambda: bt.activation_dropout(x, 0.5, "relu"),
    ):
        y = function()
        (first,) = torch.autograd.grad(y, x, dy, retain_graph=True)
        (second,) = torch.autograd.grad(y, x, dy)
        same(first, second)
        with pytest.raises(RuntimeError, match="second time"):
            torch.autograd.grad(y, x, dy)


# ---- p.


@pytest.mark.parametrize("p", ["0.5", None, True, 0.5j, torch.tensor(0.5), [0.5]])
def test_p_that_is_no_number(p: Any) -> None:
    x = torch.ones(2, 3, 4)
    for call in (
        lambda: bt.dropout(x, p),
        lambda: bt.dropout(x, p, training=False),
        lambda: bt.alpha_dropout(x, p, True),
        lambda: bt.feature_dropout(x, p),
        lambda: bt.dropout_add(x, x, p),
        lambda: bt.activation_dropout(x, p, "relu"),
        lambda: bt.Dropout(p),
        lambda: bt.DropPath(p),
    ):
        with pytest.raises(TypeError, match="bitdrop: p must be a number"):
            call()


def test_p_of_other_numbers() -> None:
    x = torch.randn(50)
    for p in (np.float32(0.5), np.float64(0.5)):
        same(seeded(bt.dropout, x, p), seeded(bt.dropout, x, 0.5))
    assert bt.dropout(x, 0) is x
    assert bt.dropout(x, 1).count_nonzero() == 0
    torch._dynamo.reset()
    compiled = torch.compile(bt.dropout, backend="aot_eager", fullgraph=True)
    for p in (0.25, 0.5, 1):
        same(seeded(compiled, x, p), seeded(bt.dropout, x, p))


# ---- Compiled calls in place on strided tensors.


def test_compiled_inplace_on_strided_tensors_of_any_batch() -> None:
    torch._dynamo.reset()

    def step(x: Tensor) -> Tensor:
        return bt.dropout((x * 1).transpose(0, 1)[::2], 0.3, True, True)

    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    for n in (8, 12, 9, 1):
        same(seeded(compiled, torch.ones(n, 6, 5)), seeded(step, torch.ones(n, 6, 5)))


@pytest.mark.parametrize("strides", [(2, 1), (0, 1)])
def test_compiled_inplace_where_elements_share_memory(strides: tuple[int, int]) -> None:
    x = torch.randn(10).as_strided((3, 4), strides)
    for fullgraph, error in ((False, RuntimeError), (True, torch._dynamo.exc.Unsupported)):
        torch._dynamo.reset()
        message = r"share memory: \.clone\(\) the tensor first"
        if fullgraph and strides[0] == 0 and torch.__version__.startswith("2.7."):
            message = "Observed exception"  # PyTorch 2.7 does not show the message
        with pytest.raises(error, match=message):
            torch.compile(bt.dropout, backend="aot_eager", fullgraph=fullgraph)(x, inplace=True)


def test_overlaps_of_small_tensors() -> None:
    """All combinations of small sizes and strides in three dimensions."""
    memory = torch.arange(100)
    seen = set()
    for code in np.ndindex(4, 4, 4, 3, 3, 3):
        strides, sizes = code[:3], tuple(size + 1 for size in code[3:])
        x = memory.as_strided(sizes, strides)
        want = x.unique().numel() < x.numel()
        assert overlaps(x) == want, (sizes, strides)
        seen.add(want)
    assert seen == {False, True}


# ---- Graphs that are saved.

FUNCTIONS: list[tuple[Callable[..., Tensor], Callable[..., Tensor]]] = [
    (lambda x: bt.dropout(x, 0.25), lambda x: F.dropout(x, 0.25)),
    (lambda x: bt.alpha_dropout(x, 0.25, True), lambda x: F.alpha_dropout(x, 0.25, True)),
    (lambda x: bt.feature_alpha_dropout(x, 0.25, True), lambda x: F.feature_alpha_dropout(x, 0.25, True)),
    (lambda x: bt.feature_dropout(x, 0.25), lambda x: F.dropout1d(x, 0.25)),
    (lambda x: bt.dropout_add(x, x, 0.25, bias=x[0, 0]), lambda x: x + F.dropout(x + x[0, 0], 0.25)),
    (lambda x: bt.activation_dropout(x, 0.25, "relu"), lambda x: F.dropout(F.relu(x), 0.25)),
    (lambda x: bt.activation_dropout(x, 0.25, "silu"), lambda x: F.dropout(F.silu(x), 0.25)),
    (lambda x: bt.activation_dropout(x, 0.25, "gelu"), lambda x: F.dropout(F.gelu(x), 0.25)),
    (
        lambda x: bt.activation_dropout(x, 0.25, "gelu_tanh", bias=x[0, 0]),
        lambda x: F.dropout(F.gelu(x + x[0, 0], approximate="tanh"), 0.25),
    ),
]


@pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated
def test_jit_trace_has_pytorchs_operators(tmp_path: Path) -> None:
    x = torch.randn(2, 3, 40)
    for ours, theirs in FUNCTIONS:
        traced = torch.jit.trace(ours, (x,), check_trace=False)
        kinds = [node.kind() for node in traced.inlined_graph.nodes()]
        assert not any("bitdrop" in kind for kind in kinds)
        assert any("dropout" in kind for kind in kinds)
        same(seeded(traced, x), seeded(theirs, x))
        traced.save(str(tmp_path / "traced.pt"))
    done = python(f"import torch; print(torch.jit.load({str(tmp_path / 'traced.pt')!r})(torch.ones(2, 3, 40)).shape)")
    assert done.stdout == "torch.Size([2, 3, 40])\n", done.stderr


class Around(nn.Module):
    """A module between others, as in a model."""

    def __init__(self, drop: nn.Module) -> None:
        super().__init__()
        self.linear, self.drop = nn.Linear(4, 4), drop

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.drop(self.linear(x))


class AroundAdd(Around):
    """The same for a module with two inputs."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.drop(self.linear(x), x)


@pytest.mark.filterwarnings("ignore")
def test_jit_script_compiles_pytorchs_operators(tmp_path: Path) -> None:
    shapes: dict[type[nn.Module], tuple[int, ...]] = {
        bt.Dropout: (2, 4),
        bt.Dropout1d: (2, 3, 4),
        bt.Dropout2d: (2, 3, 4, 4),
        bt.Dropout3d: (2, 3, 4, 4, 4),
        bt.AlphaDropout: (2, 4),
        bt.FeatureAlphaDropout: (2, 3, 4),
        bt.DropPath: (2, 4),
        bt.DropoutAdd: (2, 4),
        bt.ActivationDropout: (2, 4),
    }
    patched = Around(nn.Dropout(0.5))
    bt.patch(patched)
    models = [(AroundAdd if kind is bt.DropoutAdd else Around)(kind(0.5)) for kind in shapes]
    for model, shape in zip([*models, patched], [*shapes.values(), (2, 4)], strict=True):
        kept = model.drop
        scripted = torch.jit.script(model)
        assert model.drop is kept  # the model itself has not changed
        x = torch.randn(shape)
        assert scripted(x).shape == x.shape
        scripted.save(str(tmp_path / "scripted.pt"))
        loaded = torch.jit.load(str(tmp_path / "scripted.pt")).eval()
        same(loaded(x), model.eval()(x))
    x = torch.randn(100, 4)
    same(seeded(torch.jit.script(models[0].train()), x), seeded(F.dropout, models[0].linear(x)))


@pytest.mark.filterwarnings("ignore")
def test_jit_script_of_functions() -> None:
    def f(x: Tensor, y: Tensor) -> Tensor:
        return bt.activation_dropout(bt.dropout(x, 0.5), 0.25, "gelu") + bt.feature_dropout(y, p=0.5)

    x = torch.randn(2, 3, 4)
    same(
        seeded(torch.jit.script(f), x, x),
        seeded(lambda: F.dropout(F.gelu(F.dropout(x, 0.5)), 0.25) + F.dropout1d(x, 0.5)),
    )


@pytest.mark.filterwarnings("ignore")
def test_saved_graphs_have_pytorchs_attention() -> None:
    q = torch.randn(2, 3, 5, 4)

    def attend(q: Tensor) -> Tensor:
        return bt.scaled_dot_product_attention(q, q, q, dropout_p=0.25, is_causal=True, scale=0.3)

    want = seeded(F.scaled_dot_product_attention, q, q, q, dropout_p=0.25, is_causal=True, scale=0.3)
    for graph in (torch.jit.trace(attend, (q,), check_trace=False), torch.jit.script(attend)):
        kinds = [node.kind() for node in graph.inlined_graph.nodes()]
        assert kinds.count("aten::scaled_dot_product_attention") == 1
        assert not any("bitdrop" in kind for kind in kinds)
        same(seeded(graph, q), want)
    bt.enable()
    try:
        traced = torch.jit.trace(lambda q: F.scaled_dot_product_attention(q, q, q, dropout_p=0.25), (q,), None, False)
    finally:
        bt.disable()
    assert "aten::scaled_dot_product_attention" in str(traced.inlined_graph)


@pytest.mark.filterwarnings("ignore")
def test_graphs_that_are_saved_cannot_have_a_generator() -> None:
    drop = bt.Dropout(generator=torch.Generator())
    with pytest.raises(NotImplementedError, match=r"bitdrop.*generator"):
        torch.jit.script(Around(drop))
    with pytest.raises(NotImplementedError, match=r"bitdrop.*generator="):
        torch.jit.trace(drop, (torch.ones(4),))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("enabled")
@pytest.mark.parametrize("dynamo", [False, True])
def test_onnx(dynamo: bool) -> None:
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("onnx")
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.4), bt.Dropout(0.3), bt.ActivationDropout(0.2, "gelu"))
    for training in (True, False):
        if dynamo:
            program = torch.onnx.export(model.train(training), (torch.ones(2, 4),), dynamo=True, verbose=False)
            names = [node.op_type for node in program.model.graph]
        else:
            file = io.BytesIO()
            mode = torch.onnx.TrainingMode.TRAINING if training else torch.onnx.TrainingMode.EVAL
            torch.onnx.export(model, (torch.ones(2, 4),), file, dynamo=False, training=mode)
            names = [node.op_type for node in onnx.load_from_string(file.getvalue()).graph.node]
        assert names.count("Dropout") == 3 * training
        assert "Gelu" in names
