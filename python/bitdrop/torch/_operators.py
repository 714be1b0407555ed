# SPDX-License-Identifier: Apache-2.0
"""The operators bitdrop::*, whatever PyTorch does to them. Those of plain dropout are at the end.

The kernel of the Autograd key is an autograd.Function of each operator's formulas. So reverse mode, forward mode,
torch.func's transforms and torch.compile all find the same formulas on the operator itself.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad
from torch.autograd.forward_ad import _set_fwd_grad_enabled
from torch.compiler import is_compiling
from torch.fx import traceback
from torch.utils.checkpoint import CheckpointPolicy

from .._library import Config
from . import _kernels, _kernels_2d
from ._checks import check_devices, check_not_repeated, checked_arguments
from ._eager import SEEDS, is_eager, is_exporting, is_grad_enabled, transforming, untraced

# ---- Seeds that a graph can hold.


def traced_seed(generator: torch.Generator | None = None) -> Tensor:
    """The seed that draw_seed draws, as a tensor that a graph can hold.

    It comes from torch.randint because AOTAutograd merges equal calls of any operator that it does not know to be
    random: several dropouts would have one mask.
    """
    if generator is not None:
        if is_compiling():
            torch._dynamo.graph_break(msg="torch.compile cannot trace bitdrop with generator=: leave it out")
        return _draw_from(generator)
    if not is_compiling():
        return _draw_marked()
    # Dynamo traces this function. It would lose the mark, and cannot trace the operator within torch.func.
    if not (is_exporting() or transforming()):
        return torch.ops.bitdrop.seed()
    if transforming() and torch._functorch.config.activation_memory_budget < 1:
        torch._dynamo.graph_break(msg="bitdrop in torch.func cannot be compiled with activation_memory_budget < 1")
    return torch.randint(SEEDS, (), dtype=torch.int64, device="cpu")


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _draw_from(generator: torch.Generator) -> Tensor:
    check_not_repeated()
    return torch.randint(SEEDS, (), dtype=torch.int64, device="cpu", generator=generator)


def _draw_marked() -> Tensor:
    """The drawing, marked to be saved where AOTAutograd traces it.

    Its partitioner may recompute any other node in the backward pass, a random one too (activation_memory_budget
    below 1). Another seed there would be another mask: a wrong gradient.
    """
    # Only a trace reads the mark. It is global to the process: eager threads would leave each other's behind.
    if torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is None:
        return torch.randint(SEEDS, (), dtype=torch.int64, device="cpu")
    # With a budget of 0 the partitioner does not look at the mark.
    if is_grad_enabled() and torch._functorch.config.activation_memory_budget == 0:
        raise RuntimeError(
            "bitdrop: torch._functorch.config.activation_memory_budget = 0 would make the backward pass draw another "
            "mask: set it above 0, for example to 0.01"
        )
    meta = traceback.get_current_meta()
    before = meta.get("recompute")
    meta["recompute"] = CheckpointPolicy.MUST_SAVE
    try:
        return torch.randint(SEEDS, (), dtype=torch.int64, device="cpu")
    finally:
        if before is None:
            del meta["recompute"]
        else:
            meta["recompute"] = before


# ---- What an operator is.

library = torch.library.Library("bitdrop", "DEF")
_TAGS = (torch.Tag.pt2_compliant_tag,)

library.define("seed() -> Tensor", tags=(*_TAGS, torch.Tag.nondeterministic_seeded))
library.impl("seed", _draw_marked, "CompositeImplicitAutograd")

# By the operator's name, for plain tensors in eager mode: the kernel, and the first output with its derivative.
kernels: dict[str, Callable[..., Any]] = {}
eager: dict[str, Callable[..., Tensor]] = {}


def call(name: str, x: Tensor, key: Any, *rest: Any) -> Any:
    """An operator by its kernel or, where something could be lost by that, by its name.

    Key is the second argument: a mask, or a seed as a tensor or an int.
    """
    plain = not is_grad_enabled() and forward_ad._current_level < 0 and is_eager(x)
    if plain and (isinstance(key, int) or key.dtype is torch.uint8):
        return kernels[name](x, key, *rest)
    operator = getattr(torch.ops.bitdrop, name)
    return operator(x, torch.tensor(key) if isinstance(key, int) else key, *rest)


def keep(ctx: Any, *tensors: Tensor | None) -> None:
    """Save tensors for either mode of differentiation."""
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


class Diagonal:
    """Formulas of an operator (x, key, *rest) whose derivative is another one of the same kind, or is itself.

    An element of the result depends on the element of x at its place alone, and linearly. So gradients and tangents
    take one operator: (dy, mask or seed, *rest).
    """

    def __init__(self, derivative: str, *, by_mask: bool = False) -> None:
        """by_mask: key is the mask that the operator returned, and not its own second argument."""
        self.derivative = derivative
        self.by_mask = by_mask

    def setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keeps the key: of an eager call, an int is a seed."""
        key = output[1] if self.by_mask else inputs[1]
        ctx.seed = key if isinstance(key, int) else None
        if ctx.seed is None:
            keep(ctx, key)
        ctx.rest = inputs[2:]

    def _apply(self, ctx: Any, dy: Tensor) -> Tensor:
        saved = ctx.saved_tensors  # asked for in any case: PyTorch then refuses a second pass without retain_graph
        return call(self.derivative, dy, saved[0] if ctx.seed is None else ctx.seed, *ctx.rest)

    def backward(self, ctx: Any, dy: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """The gradient of x."""
        return self._apply(ctx, dy), None, *[None] * len(ctx.rest)

    def jvp(self, ctx: Any, tangent: Tensor, *_: Any) -> Any:
        """The tangent of the result."""
        y = self._apply(ctx, tangent)
        return (y, None) if self.by_mask else y


def _no_jvp(ctx: Any, *_: Any) -> Any:
    raise NotImplementedError(
        "bitdrop: this operator has no forward-mode derivative (torch.func.jvp, jacfwd, hessian): take the "
        "reverse-mode one (torch.func.vjp, jacrev)"
    )


def _below_autograd(operator: Any, args: tuple[Any, ...]) -> Any:
    """The operator without its derivatives or, in torch.func's transforms, with those of the outer ones."""
    if transforming():  # autograd.Function has switched both off for these, too
        with torch.enable_grad(), _set_fwd_grad_enabled(True), torch._C._AutoDispatchBelowAutograd():
            return operator(*args)
    with torch._C._AutoDispatchBelowAutograd():
        return operator(*args)


def _plain(method: Callable[..., Any]) -> Callable[..., Any]:
    """A function in the place of a bound method, which compiled autograd does not take."""
    return untraced(lambda *args: method(*args))


def _autograd_kernel(name: str, formulas: Any) -> Callable[..., Any]:
    operator = getattr(torch.ops.bitdrop, name).default
    members = {
        "forward": staticmethod(lambda *args: _below_autograd(operator, args)),
        "setup_context": staticmethod(formulas.setup_context),
        "backward": staticmethod(_plain(formulas.backward)),
        "jvp": staticmethod(getattr(formulas, "jvp", _no_jvp)),
    }
    function = type(f"bitdrop_{name}", (torch.autograd.Function,), members)
    # autograd.Function.apply would hand a transform its formulas, but the dispatcher has done so already.
    apply = super(torch.autograd.Function, function).apply  # type: ignore[misc]

    def kernel(*args: Any) -> Any:
        if transforming():
            with enable_single_level_autograd_function():
                return apply(*args)
        return apply(*args)

    return kernel


def _vmap(function: Callable[..., Any], info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
    """One call for each sample: what its mask is must not depend on the other samples."""
    n = info.batch_size

    def pick(a: Any, dim: int | None, i: int) -> Any:
        if dim is None:
            return a
        return a.select(dim, i) if n else a.new_zeros(a.shape[:dim] + a.shape[dim + 1 :])  # for what shape comes of it

    samples = [function(*(pick(a, dim, i) for a, dim in zip(args, in_dims, strict=True))) for i in range(max(n, 1))]
    if isinstance(samples[0], Tensor):
        return torch.stack(samples)[:n], 0
    return tuple(torch.stack(outputs)[:n] for outputs in zip(*samples, strict=True)), (0,) * len(samples[0])


def _argument_names(name: str) -> list[str]:
    """Those of an operator."""
    return [argument.name for argument in getattr(torch.ops.bitdrop, name).default._schema.arguments]


def register(name: str, cpu: Callable[..., Any], fake: Callable[..., Any], formulas: Any) -> None:
    """Formulas has setup_context, backward and, if there is a forward-mode derivative, jvp."""
    op = f"bitdrop::{name}"
    operator = getattr(torch.ops.bitdrop, name)
    names = _argument_names(name)

    def checked_fake(*args: Any) -> Any:
        check_devices(names, args)
        return fake(*args)

    library.impl(name, untraced(cpu), "CPU")
    library.impl(name, untraced(_autograd_kernel(name, formulas)), "Autograd")
    torch.library.register_fake(op, checked_fake, lib=library)
    torch.library.register_vmap(op, lambda *args: _vmap(operator, *args), lib=library)


def define(schema: str, kernel: Callable[..., Any], fake: Callable[..., Any], formulas: Any) -> None:
    """An operator by its schema, whose arguments say by their names what is checked.

    The kernel has the same arguments, but its seed is an int.
    """
    name = schema[: schema.index("(")]
    library.define(schema, tags=_TAGS)
    names = _argument_names(name)

    def cpu(*args: Any) -> Any:
        return kernel(*checked_arguments(names, args))

    def forward(ctx: Any, *args: Any) -> Tensor:
        output = kernel(*args)
        formulas.setup_context(ctx, args, output)
        return output if isinstance(output, Tensor) else output[0]

    kernels[name] = kernel
    register(name, cpu, fake, formulas)
    members = {"forward": staticmethod(forward), "backward": staticmethod(_plain(formulas.backward))}
    function = type(f"bitdrop_{name}_eager", (torch.autograd.Function,), members)
    eager[name] = super(torch.autograd.Function, function).apply  # type: ignore[misc]


# ---- Plain dropout.


def like_fake(x: Tensor, *_: Any) -> Tensor:
    """What an operator returns that keeps no mask."""
    return torch.empty_like(x)


define(
    "dropout(Tensor x, Tensor seed, float p) -> (Tensor y, Tensor mask)",
    lambda x, seed, p: _kernels.forward(x, Config(p, seed)),
    lambda x, seed, p: (torch.empty_like(x), _kernels.new_mask(x)),
    Diagonal("dropout_backward", by_mask=True),
)
define(
    "dropout_backward(Tensor dy, Tensor mask, float p) -> Tensor",
    _kernels_2d.dropout_backward,
    like_fake,
    Diagonal("dropout_backward"),
)
define(
    "dropout_recompute(Tensor x, Tensor seed, float p) -> Tensor",
    lambda x, seed, p: _kernels.recompute(x, Config(p, seed)),
    like_fake,
    Diagonal("dropout_recompute"),
)


def apply_mask(dy: Tensor, mask: Tensor, p: float) -> Tensor:
    """dropout_backward with its derivatives."""
    return torch.ops.bitdrop.dropout_backward(dy, mask, p)


def apply_seed(x: Tensor, seed: Tensor, p: float) -> Tensor:
    """dropout_recompute with its derivatives."""
    return torch.ops.bitdrop.dropout_recompute(x, seed, p)
