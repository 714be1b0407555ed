# SPDX-License-Identifier: Apache-2.0
"""patch and unpatch: they replace the dropout modules of an existing model."""

from dataclasses import dataclass
from typing import Any

from torch import jit, nn
from torch.nn.modules.dropout import _DropoutNd

from . import _modules
from ._modules import LEAF

# patch() changes a module of exactly the first class into one of the second.
DROPOUTS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Dropout: _modules.Dropout,
    nn.Dropout1d: _modules.Dropout1d,
    nn.Dropout2d: _modules.Dropout2d,
    nn.Dropout3d: _modules.Dropout3d,
    nn.AlphaDropout: _modules.AlphaDropout,
    nn.FeatureAlphaDropout: _modules.FeatureAlphaDropout,
}
_STOCK = {ours: stock for stock, ours in DROPOUTS.items()}

_MARK = "_bitdrop_patched"  # an attribute of the modules that patch() changed


@dataclass(frozen=True)
class Patched:
    """What patch() or unpatch() did. Modules have the names of model.named_modules().

    A module that patch() replaced uses bitdrop when it is called. report() says whether a model calls it.
    """

    replaced: tuple[str, ...]
    left: dict[str, str]  # name -> reason

    def __str__(self) -> str:
        lines = [f"{len(self.replaced)} replaced, {len(self.left)} left"]
        lines += [f"  replaced {name or '(the model)'}" for name in self.replaced]
        lines += [f"  left     {name or '(the model)'}: {why}" for name, why in self.left.items()]
        return "\n".join(lines)


def _why_not(module: nn.Module) -> str | None:
    """The reason why a change of the module's class would not change its calls; None if it would change them."""
    if "forward" in vars(module):
        return (
            "its forward is an attribute of the instance (a hook of accelerate or a monkeypatch set it), which "
            "hides that of any class: remove it first, and set it again afterwards"
        )
    if type(module).forward.__module__ != type(module).__module__:
        return f"{type(module).__name__}.forward was replaced by {type(module).forward.__qualname__}: restore it first"
    return None


def _why_left(module: nn.Module) -> str | None:
    kind = type(module).__name__
    if type(module) in DROPOUTS:
        return _why_not(module)
    if isinstance(module, _modules.Dropout):
        return f"is bitdrop's already, with recompute={module.recompute}"
    if type(module) in _STOCK:
        return "is bitdrop's already"
    if isinstance(module, tuple(DROPOUTS)):
        return f"{kind} is a subclass of a module that would be replaced, and its forward pass may be another"
    if isinstance(module, jit.ScriptModule) and "Dropout" in module.original_name:
        return "is compiled by torch.jit.script"
    if isinstance(module, _DropoutNd):
        return f"{kind} drops by a rule of its own"
    for name, p in vars(module).items():  # dropout, dropout_p, attention_dropout, attn_pdrop, drop_prob
        if "drop" in name and isinstance(p, float) and p > 0:
            return f"{kind} passes {name}={p} to code of its own (such as fused attention), which only enable() covers"
    return None


def patch(model: nn.Module, *, recompute: bool = False) -> Patched:
    """Change each dropout module of torch.nn in model into bitdrop's, in place. Returns what was and was not replaced.

    The modules stay the same objects, and only their class changes. So p, mode, hooks, names and references to them
    stay valid. recompute is that of bitdrop's Dropout. unpatch() undoes the change.

    Only modules are replaced. Dropout that no module runs stays PyTorch's: the dropout_p of attention, the dropout
    between the layers of an nn.LSTM, and calls of F.dropout. If a model reads the p of a module and passes it to such
    code, that dropout stays PyTorch's too. report() shows both cases, and enable() covers them.
    """
    replaced: list[str] = []
    left: dict[str, str] = {}
    for name, module in model.named_modules():
        if why := _why_left(module):
            left[name] = why
        elif type(module) in DROPOUTS:
            module.__class__ = DROPOUTS[type(module)]
            added: dict[str, Any] = {_MARK: True, "__module__": LEAF, "generator": None}
            if isinstance(module, _modules.Dropout):
                added["recompute"] = recompute
            vars(module).update(added)
            replaced.append(name)
    return Patched(tuple(replaced), left)


def unpatch(model: nn.Module) -> Patched:
    """Change the modules that patch() changed, and only those, back to PyTorch's, in place.

    A model that is pickled afterwards can be loaded without bitdrop.
    """
    replaced: list[str] = []
    left: dict[str, str] = {}
    for name, module in model.named_modules():
        if _MARK not in vars(module):
            continue
        if why := _why_not(module):
            left[name] = why
            continue
        module.__class__ = _STOCK[type(module)]
        for attribute in (_MARK, "__module__", "recompute", "generator"):
            vars(module).pop(attribute, None)
        replaced.append(name)
    return Patched(tuple(replaced), left)
