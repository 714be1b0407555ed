# SPDX-License-Identifier: Apache-2.0
"""bitdrop.torch.patch and unpatch."""

import copy
import functools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from seeded import same, seeded
from torch import Tensor, nn

import bitdrop.torch as bt
from bitdrop.torch._patch import DROPOUTS


def test_patch() -> None:
    shared = nn.Dropout(0.1)
    model = nn.ModuleDict(
        {
            "drop": nn.Dropout(0.2, inplace=True),
            "attention": nn.MultiheadAttention(8, 2, dropout=0.1),
            "layer": nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True),
            "lstm": nn.LSTM(4, 4, num_layers=2, dropout=0.2),
            "a": shared,
            "b": shared,
        }
    ).eval()
    calls: list[int] = []
    model["drop"].register_forward_hook(lambda *_: calls.append(1))
    patched = bt.patch(model, recompute=True)
    assert patched.replaced == ("drop", "layer.dropout", "layer.dropout1", "layer.dropout2", "a")
    assert set(patched.left) == {"attention", "layer.self_attn", "lstm"}
    assert "3 left" in str(patched)
    assert "only enable() covers" in patched.left["lstm"]
    assert type(model["b"]) is bt.Dropout
    assert model["attention"].dropout == 0.1
    assert model["drop"].recompute
    assert (model["drop"].p, model["drop"].inplace, model["drop"].training) == (0.2, True, False)
    model["drop"](torch.ones(3))
    assert calls == [1]
    again = bt.patch(model)
    assert again.replaced == ()
    assert again.left["drop"] == "is bitdrop's already, with recompute=True"
    x = torch.randn(2, 3, 8, requires_grad=True)
    model.train()["layer"](x).sum().backward()
    assert model.eval()["layer"](x).shape == x.shape
    own = type("Own", (nn.Module,), {})()
    own.attn_pdrop, own.drop_path = 0.1, 0.0
    own.subclass = type("Mine", (nn.Dropout,), {})()
    assert bt.patch(own).left.keys() == {"", "subclass"}
    root = nn.Dropout(0.5)
    assert bt.patch(root).replaced == ("",)


def test_every_class() -> None:
    x = torch.randn(2, 3, 4, 5, 6)
    for stock, ours in DROPOUTS.items():
        module = stock(0.5)
        of = x[0, 0] if stock is nn.Dropout1d else x[0] if stock is nn.Dropout2d else x
        assert bt.patch(module).replaced == ("",)
        assert type(module) is ours
        same(seeded(module, of), seeded(ours(0.5), of))
        assert ("recompute" in vars(module)) == (stock is nn.Dropout)
        assert module.eval()(of) is of


def test_unpatch() -> None:
    own = bt.Dropout(0.3)
    model = nn.Sequential(nn.Dropout(0.5), own, nn.AlphaDropout(0.2), nn.Linear(2, 2))
    before = [dict(vars(module)) for module in model]
    assert bt.unpatch(model).replaced == ()
    bt.patch(model, recompute=True)
    assert str(bt.unpatch(model)).startswith("2 replaced, 0 left")
    assert [type(module) for module in model] == [nn.Dropout, bt.Dropout, nn.AlphaDropout, nn.Linear]
    assert [dict(vars(module)) for module in model] == before
    assert b"bitdrop" not in pickle.dumps(model[0])
    assert bt.unpatch(model).replaced == ()
    assert bt.patch(model).replaced == ("0", "2")


def hooked(module: nn.Module) -> None:
    """Replace forward as accelerate's add_hook_to_module does."""
    old = module.forward

    def new_forward(module: nn.Module, *args: Any) -> Any:
        return old(*args)

    module.forward = functools.update_wrapper(functools.partial(new_forward, module), old)


def test_forward_in_the_instance_is_left() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    hooked(model[0])
    patched = bt.patch(model)
    assert patched.replaced == ("1",)
    assert "attribute of the instance" in patched.left["0"]
    assert type(model[0]) is nn.Dropout
    hooked(model[1])  # the hook wraps bitdrop's forward, and would still call it if unpatch() changed the class
    assert "attribute of the instance" in bt.unpatch(model).left["1"]
    x = torch.randn(4, 8)
    same(seeded(model[1], x), seeded(bt.dropout, x))
    del model[1].forward
    assert bt.unpatch(model).replaced == ("1",)


def test_forward_of_the_class_that_was_replaced_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Dropout, "forward", lambda self, x: x + 1)
    model = nn.Sequential(nn.Dropout(0.5))
    assert "was replaced by" in bt.patch(model).left["0"]
    same(model(torch.zeros(3)), torch.ones(3))


def test_patched_model_is_saved_and_loaded(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5))
    bt.patch(model, recompute=True)
    torch.save(model, tmp_path / "model")
    x = torch.randn(4, 8)
    for twin in (torch.load(tmp_path / "model", weights_only=False), copy.deepcopy(model)):
        assert (type(twin[1]), twin[1].recompute) == (bt.Dropout, True)
        same(seeded(twin, x), seeded(model, x))
        assert bt.unpatch(twin).replaced == ("1",)
    nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)).load_state_dict(model.state_dict())


def patched(module: nn.Module) -> nn.Module:
    bt.patch(module)
    return module


@pytest.mark.parametrize("make", [bt.Dropout, lambda p: patched(nn.Dropout(p)), bt.Dropout1d, bt.DropPath])
def test_fx_keeps_the_module(make: Callable[[float], nn.Module]) -> None:
    """A traced model drops with the p and the mode that it has when it runs."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.drop = nn.Linear(8, 8), make(0.5)

        def forward(self, x: Tensor) -> Tensor:
            return self.drop(self.linear(x))

    model, x = Model(), torch.randn(3, 4, 8)
    traced = torch.fx.symbolic_trace(model)
    assert [str(node.op) for node in traced.graph.nodes][1:3] == ["call_module"] * 2
    same(seeded(traced, x), seeded(model, x))
    same(traced.eval()(x), model.linear(x))
    traced.drop.p = 1.0
    assert traced.train()(x).count_nonzero() == 0
    assert type(copy.deepcopy(traced).drop) is type(model.drop)


def test_fx_keeps_the_function() -> None:
    x = torch.randn(4, 8)
    traced = torch.fx.symbolic_trace(lambda x: bt.dropout(x * 2, 0.3))
    assert bt.dropout in [node.target for node in traced.graph.nodes]
    same(seeded(traced, x), seeded(bt.dropout, x * 2, 0.3))
