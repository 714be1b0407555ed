# SPDX-License-Identifier: Apache-2.0
"""How the operators bitdrop::* are defined: seeds, derivatives and vmap. The operators of plain dropout are at the end.

The kernel for the Autograd key is an autograd.Function that has the operator's formulas. So reverse mode, forward mode,
torch.func's transforms and torch.compile all use the same formulas.
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

    torch.randint draws it, because AOTAutograd merges equal calls of all operators except those it knows to be random:
    several dropouts would get the same mask.
    """
    if generator is not None:
        if is_compiling():
            torch._dynamo.graph_break(msg="torch.compile cannot trace bitdrop with generator=: leave it out")
        return _draw_from(generator)
    if not is_compiling():
        return _draw_marked()
    # Here Dynamo traces this function. It would lose the mark of _draw_marked(), so the graph gets the operator seed
    # instead, which Dynamo cannot trace within torch.func.
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
    """Draws a seed. If AOTAutograd traces the call, the node is marked as one whose result must be saved.

    Without the mark, the partitioner of AOTAutograd may repeat the node in the backward pass, although it is random
    (activation_memory_budget below 1). That would draw another seed: another mask, and a wrong gradient.
    """
    # Set the mark only while a trace records it. It is global to the process: threads in eager mode would leave each
    # other's marks set.
    if torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is None:
        return torch.randint(SEEDS, (), dtype=torch.int64, device="cpu")
    # With a budget of 0, the partitioner ignores the mark.
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


# ---- How an operator is defined.

library = torch.library.Library("bitdrop", "DEF")
_TAGS = (torch.Tag.pt2_compliant_tag,)

library.define("seed() -> Tensor", tags=(*_TAGS, torch.Tag.nondeterministic_seeded))
library.impl("seed", _draw_marked, "CompositeImplicitAutograd")

# For plain tensors in eager mode, by the operator's name: its kernel, and a function that returns its first output and
# has a derivative.
kernels: dict[str, Callable[..., Any]] = {}
eager: dict[str, Callable[..., Tensor]] = {}


def call(name: str, x: Tensor, key: Any, *rest: Any) -> Any:
    """Call an operator. If x is a plain tensor and no derivative is recorded, call its kernel directly.

    key is the second argument: a mask, or a seed as a tensor or an int.
    """
    plain = not is_grad_enabled() and forward_ad._current_level < 0 and is_eager(x)
    if plain and (isinstance(key, int) or key.dtype is torch.uint8):
        return kernels[name](x, key, *rest)
    operator = getattr(torch.ops.bitdrop, name)
    return operator(x, torch.tensor(key) if isinstance(key, int) else key, *rest)


def keep(ctx: Any, *tensors: Tensor | None) -> None:
    """Save tensors for both modes of differentiation."""
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


class Diagonal:
    """Formulas of an operator (x, key, *rest) that is linear and whose Jacobian is diagonal.

    Each element of the result depends only on the element of x at the same place, and linearly. So one operator
    (dy, mask or seed, *rest) computes both gradients and tangents. It is also diagonal, and may be the same operator.
    """

    def __init__(self, derivative: str, *, by_mask: bool = False) -> None:
        """derivative: name of the operator for gradients. by_mask: its key is the returned mask instead of the key."""
        self.derivative = derivative
        self.by_mask = by_mask

    def setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keeps the key for the derivative. In an eager call, a seed is an int."""
        key = output[1] if self.by_mask else inputs[1]
        ctx.seed = key if isinstance(key, int) else None
        if ctx.seed is None:
            keep(ctx, key)
        ctx.rest = inputs[2:]

    def _apply(self, ctx: Any, dy: Tensor) -> Tensor:
        saved = ctx.saved_tensors  # read even if empty: PyTorch then refuses a second pass without retain_graph
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
        "bitdrop: this operator has no forward-mode derivative (torch.func.jvp, jacfwd, hessian): use the "
        "reverse-mode one (torch.func.vjp, jacrev)"
    )


def _below_autograd(operator: Any, args: tuple[Any, ...]) -> Any:
    """Call the operator without recording its derivatives; under torch.func, outer transforms still record theirs."""
    if transforming():  # autograd.Function has switched off both modes also for the outer transforms
        with torch.enable_grad(), _set_fwd_grad_enabled(True), torch._C._AutoDispatchBelowAutograd():
            return operator(*args)
    with torch._C._AutoDispatchBelowAutograd():
        return operator(*args)


def _as_function(method: Callable[..., Any]) -> Callable[..., Any]:
    """A function that calls a bound method, because compiled autograd does not accept bound methods."""
    return untraced(lambda *args: method(*args))


def _autograd_kernel(name: str, formulas: Any) -> Callable[..., Any]:
    operator = getattr(torch.ops.bitdrop, name).default
    members = {
        "forward": staticmethod(lambda *args: _below_autograd(operator, args)),
        "setup_context": staticmethod(formulas.setup_context),
        "backward": staticmethod(_as_function(formulas.backward)),
        "jvp": staticmethod(getattr(formulas, "jvp", _no_jvp)),
    }
    function = type(f"bitdrop_{name}", (torch.autograd.Function,), members)
    # autograd.Function.apply would pass the formulas to a transform again. The dispatcher has already done that.
    apply = super(torch.autograd.Function, function).apply  # type: ignore[misc]

    def kernel(*args: Any) -> Any:
        if transforming():
            with enable_single_level_autograd_function():
                return apply(*args)
        return apply(*args)

    return kernel


def _vmap(function: Callable[..., Any], info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
    """One call for each sample, so that the mask of a sample does not depend on the other samples."""
    n = info.batch_size

    def pick(a: Any, dim: int | None, i: int) -> Any:
        if dim is None:
            return a
        # With no samples, one call on zeros finds the shapes of the results.
        return a.select(dim, i) if n else a.new_zeros(a.shape[:dim] + a.shape[dim + 1 :])

    samples = [function(*(pick(a, dim, i) for a, dim in zip(args, in_dims, strict=True))) for i in range(max(n, 1))]
    if isinstance(samples[0], Tensor):
        return torch.stack(samples)[:n], 0
    return tuple(torch.stack(outputs)[:n] for outputs in zip(*samples, strict=True)), (0,) * len(samples[0])


def _argument_names(name: str) -> list[str]:
    """The names of an operator's arguments."""
    return [argument.name for argument in getattr(torch.ops.bitdrop, name).default._schema.arguments]


def register(name: str, cpu: Callable[..., Any], fake: Callable[..., Any], formulas: Any) -> None:
    """Register the kernels of an operator. formulas has setup_context, backward and, for forward mode, jvp."""
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
    """Define an operator by its schema. checked_arguments() checks its arguments, each by its name.

    The kernel has the same arguments, except that its seed is an int.
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
    members = {"forward": staticmethod(forward), "backward": staticmethod(_as_function(formulas.backward))}
    function = type(f"bitdrop_{name}_eager", (torch.autograd.Function,), members)
    eager[name] = super(torch.autograd.Function, function).apply  # type: ignore[misc]


# ---- Plain dropout.


def like_fake(x: Tensor, *_: Any) -> Tensor:
    """The fake result of an operator that returns no mask."""
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
    """Call dropout_backward, with its derivatives."""
    return torch.ops.bitdrop.dropout_backward(dy, mask, p)


def apply_seed(x: Tensor, seed: Tensor, p: float) -> Tensor:
    """Call dropout_recompute, with its derivatives."""
    return torch.ops.bitdrop.dropout_recompute(x, seed, p)
