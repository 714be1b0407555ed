# SPDX-License-Identifier: Apache-2.0
"""patch: bitdrop in the modules of a model that is there already."""

from dataclasses import dataclass
from typing import cast

import torch

from ._modules import Dropout

# What patch() makes of a module of exactly this class.
DROPOUTS: dict[type[torch.nn.Module], type[torch.nn.Module]] = {
    torch.nn.Dropout: Dropout,
}


@dataclass(frozen=True)
class Patched:
    """What patch() did: names of modules, as model.named_modules() gives them."""

    replaced: tuple[str, ...]
    left: dict[str, str]  # name -> why

    def __str__(self) -> str:
        lines = [f"{len(self.replaced)} replaced, {len(self.left)} left"]
        lines += [f"  replaced {name or '(the model)'}" for name in self.replaced]
        lines += [f"  left     {name or '(the model)'}: {why}" for name, why in self.left.items()]
        return "\n".join(lines)


def _why_left(module: torch.nn.Module) -> str | None:
    kind = type(module).__name__
    if isinstance(module, Dropout):
        return f"is bitdrop's already, with recompute={module.recompute}"
    if isinstance(module, torch.nn.Dropout):
        return f"{kind} is a subclass of nn.Dropout, whose forward pass may be another"
    if isinstance(module, torch.jit.ScriptModule) and module.original_name == "Dropout":
        return "is compiled by torch.jit.script"
    if isinstance(module, torch.nn.modules.dropout._DropoutNd):
        return f"{kind} drops by another rule than nn.Dropout"
    for name, p in vars(module).items():  # dropout, dropout_p, attention_dropout, attn_pdrop, drop_prob
        if "drop" in name and isinstance(p, float) and p > 0:
            return f"{kind} hands {name}={p} to code of its own (fused attention, say), which bitdrop cannot reach"
    return None


def patch(model: torch.nn.Module, *, recompute: bool = False) -> Patched:
    """Make a bitdrop Dropout of every nn.Dropout in model, in place, and say what was and was not replaced.

    The modules stay the objects that they are and change their class: p, mode, hooks, names and whatever else
    refers to them live on. Dropout that is not an nn.Dropout stays PyTorch's: that of channels (nn.Dropout2d) and of
    other distributions, the dropout_p of attention modules, that between the layers of an nn.LSTM, and calls of
    F.dropout, which no module shows and the report cannot list.
    """
    replaced: list[str] = []
    left: dict[str, str] = {}
    for name, module in model.named_modules():
        if type(module) is torch.nn.Dropout:
            module.__class__ = Dropout
            cast(Dropout, module).recompute = recompute
            replaced.append(name)
        elif why := _why_left(module):
            left[name] = why
    return Patched(tuple(replaced), left)
