# SPDX-License-Identifier: Apache-2.0
"""bitdrop.jax under every transformation of JAX: its bits are those of calls of the C library without it."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

import jax
import jax.numpy as jnp
from keyed import KEY, KEYS, by_c, last_line, numbers, same, seed_of, start

from bitdrop.jax import dropout


def test_jit_with_a_traced_key_and_offset() -> None:
    x = numbers(10, 50)
    call = jax.jit(lambda key, x, offset: dropout(key, x, 0.2, stream=3, offset=offset))
    for key in KEYS[:2]:
        for offset in (0, 77):
            expected = by_c(x, 0.2, seed_of(key), stream=3, offset=offset)
            same(call(key, x, offset), expected)


def test_jit_does_not_compile_again_for_another_key() -> None:
    traces = []

    @jax.jit
    def call(key: jax.Array, x: jax.Array) -> jax.Array:
        traces.append(1)
        return dropout(key, x, 0.2)

    for key in KEYS:
        call(key, numbers(10))
    assert len(traces) == 1


def test_p_is_static_under_jit() -> None:
    call = jax.jit(dropout, static_argnames="p")
    x = numbers(100)
    for p in (0.25, 0.75):
        same(call(KEY, x, p=p), by_c(x, p, seed_of(KEY)))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_grad_is_the_mask_on_the_cotangent(dtype: str) -> None:
    x, dy = (numbers(5, 99, dtype=jnp.dtype(dtype), key=k) for k in (1, 2))
    fields = {"stream": 2, "offset": 64, "rounds": 7}
    y, pull = jax.vjp(lambda x: dropout(KEY, x, 0.3, **fields), x)
    same(y, by_c(x, 0.3, seed_of(KEY), **fields))
    same(pull(dy)[0], by_c(dy, 0.3, seed_of(KEY), **fields))


def test_jvp_is_the_mask_on_the_tangent() -> None:
    fields = {"stream": 2, "offset": 64, "rounds": 7}
    for dtype in ("float32", "bfloat16"):
        x, dx = (numbers(5, 99, dtype=jnp.dtype(dtype), key=k) for k in (1, 2))
        y, dy = jax.jvp(lambda x: dropout(KEY, x, 0.3, **fields), (x,), (dx,))
        same(y, by_c(x, 0.3, seed_of(KEY), **fields))
        same(dy, by_c(dx, 0.3, seed_of(KEY), **fields))


def test_jvp_under_vmap_and_jit() -> None:
    x, dx = numbers(4, 90, key=1), numbers(4, 90, key=2)

    def tangent(key: jax.Array, x: jax.Array, dx: jax.Array) -> jax.Array:
        return jax.jvp(lambda x: dropout(key, x, 0.2), (x,), (dx,))[1]

    expected = np.stack([by_c(row, 0.2, seed_of(key)) for row, key in zip(np.asarray(dx), KEYS, strict=True)])
    same(jax.jit(jax.vmap(tangent))(KEYS, x, dx), expected)


def test_jacfwd_and_hessian() -> None:
    x = numbers(40)
    scale = by_c(np.ones(40, np.float32), 0.3, seed_of(KEY))
    same(jax.jacfwd(lambda x: dropout(KEY, x, 0.3))(x), np.diag(scale))
    hessian = jax.hessian(lambda x: (dropout(KEY, x, 0.3) ** 3).sum())(x)  # forward mode over reverse mode
    np.testing.assert_allclose(hessian, np.diag(6 * scale**3 * np.asarray(x)), rtol=1e-5)


def test_a_linearized_function_and_its_transpose() -> None:
    x, dx = numbers(300, key=1), numbers(300, key=2)
    y, tangent = jax.linearize(lambda x: dropout(KEY, x, 0.3), x)
    expected = by_c(dx, 0.3, seed_of(KEY))
    same(y, by_c(x, 0.3, seed_of(KEY)))
    same(tangent(dx), expected)
    same(jax.linear_transpose(tangent, x)(dx)[0], expected)


def test_grad_of_a_grad() -> None:
    x = numbers(200)
    scale = by_c(np.ones(200, np.float32), 0.3, seed_of(KEY))

    def loss(x: jax.Array) -> jax.Array:
        return (dropout(KEY, x, 0.3) ** 3).sum()

    second = jax.grad(lambda x: jax.grad(loss)(x).sum())(x)
    np.testing.assert_allclose(second, 6 * scale**3 * np.asarray(x), rtol=1e-5)


def test_grad_through_a_jitted_scan_and_a_checkpoint() -> None:
    x = numbers(64)

    def body(x: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
        return dropout(key, x, 0.1), None

    def loss(x: jax.Array, keys: jax.Array) -> jax.Array:
        return jax.lax.scan(jax.checkpoint(body), x, keys)[0].sum()

    expected = np.ones(64, np.float32)
    for key in KEYS[::-1]:
        expected = by_c(expected, 0.1, seed_of(key))
    same(jax.jit(jax.grad(loss))(x, KEYS), expected)


def test_vmap_over_x_has_one_mask() -> None:
    x = numbers(4, 3, 37)
    y = jax.vmap(lambda x: dropout(KEY, x, 0.5))(x)
    same(y, np.stack([by_c(row, 0.5, seed_of(KEY)) for row in np.asarray(x)]))


def test_vmap_over_another_axis() -> None:
    x = numbers(37, 4)
    y = jax.vmap(lambda x: dropout(KEY, x, 0.5), in_axes=1, out_axes=1)(x)
    rows = [by_c(row, 0.5, seed_of(KEY)) for row in np.asarray(x).T]
    same(y, np.stack(rows, axis=1))


def test_vmap_over_keys() -> None:
    x = numbers(111)
    y = jax.vmap(lambda key: dropout(key, x, 0.5))(KEYS)
    same(y, np.stack([by_c(x, 0.5, seed_of(key)) for key in KEYS]))


def test_vmap_over_both_and_offsets_and_nested() -> None:
    x = numbers(4, 3, 50)
    offsets = jnp.array([0, 50, 100])

    def one(key: jax.Array, x: jax.Array, offset: jax.Array) -> jax.Array:
        return dropout(key, x, 0.5, offset=offset)

    y = jax.vmap(jax.vmap(one, in_axes=(None, 0, 0)), in_axes=(0, 0, None))(KEYS, x, offsets)
    for i, key in enumerate(KEYS):
        same(y[i].ravel(), by_c(np.asarray(x)[i].ravel(), 0.5, seed_of(key)))


def test_jit_of_vmap_of_grad() -> None:
    x = numbers(4, 90)
    gradients = jax.jit(jax.vmap(jax.grad(lambda x, key: (dropout(key, x, 0.2)).sum())))(x, KEYS)
    ones = np.ones(90, np.float32)
    same(gradients, np.stack([by_c(ones, 0.2, seed_of(key)) for key in KEYS]))


def test_vmap_of_nothing() -> None:
    x = jnp.zeros((4, 0))
    assert jax.vmap(lambda x: dropout(KEY, x, 0.5))(x).shape == (4, 0)
    assert jax.vmap(lambda k, x: dropout(k, x, 0.5))(KEYS[:0], jnp.zeros((0, 4))).shape == (0, 4)


SHARDED = """
import bitdrop.jax as b, jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
try:
    from jax import shard_map
except ImportError:
    from jax.experimental.shard_map import shard_map
mesh, key = Mesh(np.array(jax.devices()), "d"), jax.random.key(3)
x = jnp.arange(1, 17.0).reshape(2, 8)

def whole(x):
    return b.dropout(key, x, 0.3)

def shard(x):
    return b.dropout(key, x, 0.3, offset=8 * jax.lax.axis_index("d"))

sharded = shard_map(shard, mesh=mesh, in_specs=P("d"), out_specs=P("d"))
assert (sharded(x) == whole(x)).all()
gradient = jax.grad(lambda x: (sharded(x) ** 2).sum())(x)
assert (gradient == jax.grad(lambda x: (whole(x) ** 2).sum())(x)).all()

def keys_differ(x):
    return b.dropout(jax.random.fold_in(key, jax.lax.axis_index("d")), x, 0.3)

summed = shard_map(lambda x: jax.lax.psum(keys_differ(x), "d"), mesh=mesh, in_specs=P(), out_specs=P())
gradient = jax.grad(lambda x: summed(x).sum())(jnp.ones(8))
expected = sum(b.dropout(jax.random.fold_in(key, i), jnp.ones(8), 0.3) for i in range(2))
assert (gradient == expected).all(), (gradient, expected)
if hasattr(jax, "shard_map"):
    try:
        shard_map(shard, mesh=mesh, in_specs=P("d"), out_specs=P())(x)
        print("not refused")
    except ValueError as error:
        print("replicat" in str(error))
else:
    print(True)
"""


def test_shard_map(tmp_path: Path) -> None:
    process = start(tmp_path, SHARDED, XLA_FLAGS="--xla_force_host_platform_device_count=2")
    assert last_line(process, 0) == "True"


# ---- Export.


@pytest.fixture
def export() -> Any:
    """jax.export.export, with the argument that allows the custom call of the handler."""
    module = pytest.importorskip("jax.export", exc_type=ImportError)  # JAX 0.5 does not install absl-py, which it needs
    return functools.partial(module.export, disabled_checks=[module.DisabledSafetyCheck.custom_call("bitdrop_dropout")])


def test_export_with_a_symbolic_batch(export: Any) -> None:
    (batch,) = jax.export.symbolic_shape("batch")
    key, shape = jax.eval_shape(lambda: KEY), jax.ShapeDtypeStruct((batch, 50), jnp.float32)
    gradient = jax.jit(jax.grad(lambda x, key: (dropout(key, x, 0.3, offset=77) ** 2).sum()))
    exported = export(gradient)(shape, key)
    for rows in (1, 3):
        x = numbers(rows, 50)
        same(exported.call(x, KEY), gradient(x, KEY))


def test_offset_past_the_end_with_a_symbolic_batch(export: Any) -> None:
    (batch,) = jax.export.symbolic_shape("batch")
    call = jax.jit(lambda x: dropout(KEY, x, 0.3, offset=2**64 - 100))
    exported = export(call)(jax.ShapeDtypeStruct((batch, 50), jnp.float32))
    same(exported.call(numbers(2, 50)), call(numbers(2, 50)))
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"bitdrop: .*offset"):
        exported.call(numbers(3, 50)).block_until_ready()
    with pytest.raises(ValueError, match="offset must be in"):
        call(numbers(3, 50))
