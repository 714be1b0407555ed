# SPDX-License-Identifier: Apache-2.0
"""Attention with dropout and its backward pass, compared with formulas in float64 that use the mask of the oracle."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import oracle
import pytest
from producer import Tensor

import bitdrop
from bitdrop import _library

P = 0.3
STREAM = {"seed": 7, "stream": 2, "offset": 99}
TOLERANCES = {"float64": 1e-13, "float32": 3e-6, "float16": 3e-3, "bfloat16": 2e-2}
INF = float("inf")
ISAS = [isa for isa in ("scalar", "avx2", "avx512", "neon") if bitdrop.isa_supported(isa)]
rng = np.random.default_rng(6)


def kind(dtype: str) -> Any:
    return pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else np.dtype(dtype)


def normal(dtype: str, *shape: int) -> Any:
    return rng.standard_normal(shape).astype(kind(dtype))


class Case(NamedTuple):
    """Sizes and options of a call."""

    batch: int = 2
    heads: int = 4
    kv_heads: int = 4
    queries: int = 6
    keys: int = 21
    dim: int = 5
    v_dim: int = 5
    bias: tuple[int, ...] | None = None
    options: Mapping[str, Any] = MappingProxyType({})

    @property
    def scores(self) -> tuple[int, ...]:
        """Their shape."""
        return self.batch, self.heads, self.queries, self.keys

    def inputs(self, dtype: str) -> dict[str, Any]:
        """The arrays q, k, v, dout and bias. The bias hides all keys from the first row of each of its matrices."""
        bias = None
        if self.bias is not None:
            bias = normal(dtype, *self.bias)
            bias[..., :1, :] = -INF
        return {
            "q": normal(dtype, self.batch, self.heads, self.queries, self.dim),
            "k": normal(dtype, self.batch, self.kv_heads, self.keys, self.dim),
            "v": normal(dtype, self.batch, self.kv_heads, self.keys, self.v_dim),
            "dout": normal(dtype, self.batch, self.heads, self.queries, self.v_dim),
            "bias": bias,
        }


def reference(x: dict[str, Any], kept: Any, scale: float | None, causal: bool, causal_first: int) -> dict[str, Any]:
    """The results in float64. kept is the factor of each probability: 0 if it is dropped."""
    q, k, v, dout = (x[name].astype(np.float64) for name in ("q", "k", "v", "dout"))
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
    scale = q.shape[3] ** -0.5 if scale is None else scale
    t = scale * (q @ k.swapaxes(2, 3))
    if x["bias"] is not None:
        t = t + x["bias"].astype(np.float64)
    if causal:
        seen = np.arange(k.shape[2]) <= np.arange(q.shape[2])[:, None] + causal_first
        t = np.where(seen, t, -INF)
    highest = t.max(axis=-1, keepdims=True)
    highest[highest == -INF] = 0
    e = np.exp(t - highest)
    z = e.sum(axis=-1, keepdims=True)
    prob = e / np.where(z == 0, 1, z)
    with np.errstate(divide="ignore"):
        lse = (highest + np.log(z))[..., 0]
    g = (dout @ v.swapaxes(2, 3)) * kept
    ds = scale * prob * (g - (g * prob).sum(axis=-1, keepdims=True))

    def of_group(grad: Any) -> Any:
        return grad.reshape(grad.shape[0], -1, group, *grad.shape[2:]).sum(axis=2)

    return {
        "out": (prob * kept) @ v,
        "lse": lse,
        "dq": ds @ k,
        "dk": of_group(ds.swapaxes(2, 3) @ q),
        "dv": of_group((prob * kept).swapaxes(2, 3) @ dout),
    }


def both(x: dict[str, Any], p: float, *, mask: bool = False, **options: Any) -> dict[str, Any]:
    """The results of the forward and the backward call. With mask, the forward call's mask is passed to the second."""
    given = {"bias": x["bias"], **options}
    out, lse, bits = bitdrop.attention(x["q"], x["k"], x["v"], p, mask=mask, **given)
    if mask:
        given = {name: value for name, value in given.items() if name not in STREAM}
    dq, dk, dv = bitdrop.attention_backward(x["dout"], x["q"], x["k"], x["v"], p, bits, out=out, lse=lse, **given)
    results = {"out": out, "lse": lse, "dq": dq, "dk": dk, "dv": dv}
    return {**results, "mask": bits} if mask else results


def same(a: dict[str, Any], b: dict[str, Any]) -> None:
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name], err_msg=name)


def near(got: dict[str, Any], expected: dict[str, Any], dtype: str, scale: float = 1) -> None:
    """`scale`: of what is kept. It multiplies numbers of which gradients are small differences."""
    for name, value in expected.items():
        assert got[name].dtype == ("float64" if dtype == "float64" else "float32" if name == "lse" else kind(dtype))
        size = max(scale, np.abs(value[np.isfinite(value)]).max(initial=0))
        np.testing.assert_allclose(
            got[name].astype(np.float64), value, rtol=0, atol=TOLERANCES[dtype] * size, err_msg=name
        )


CASES = {
    "plain": Case(),
    "one": Case(1, 1, 1, 1, 1, 1, 1),
    "grouped": Case(kv_heads=2, dim=7, v_dim=3),
    "one of k and v": Case(kv_heads=1, options={"scale": 0.7}),
    "causal": Case(options={"causal": True}),
    "last queries": Case(options={"causal": True, "causal_first": 15}),
    "hidden by causal": Case(options={"causal": True, "causal_first": -3}),
    "negative scale": Case(options={"scale": -0.4, "rounds": 7}),
    "classic": Case(options={"scaling": "infer"}),
    "bias of all": Case(bias=(2, 4, 6, 21)),
    "bias of rows": Case(bias=(6, 21), options={"causal": True}),
    "bias of keys": Case(heads=2, kv_heads=1, bias=(2, 1, 2, 21), queries=2),
    "bias of heads": Case(bias=(4, 6, 21)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_values(dtype: str, name: str) -> None:
    case = CASES[name]
    x, options = case.inputs(dtype), case.options
    rounds = {"rounds": options.get("rounds", 10)}
    keep = oracle.keep_matrix(np.prod(case.scores[:3]), case.keys, P, **STREAM, **rounds)
    kept = keep.reshape(case.scores) * oracle.scale(P, options.get("scaling", "train"))
    formulas = {"scale": None, "causal": False, "causal_first": 0}
    expected = reference(x, kept, **{key: options.get(key, value) for key, value in formulas.items()})
    for isa in ISAS:
        got = both(x, P, isa=isa, **STREAM, **options)
        near(got, expected, dtype)
        stored = both(x, P, isa=isa, mask=True, **STREAM, **options)
        np.testing.assert_array_equal(stored["mask"], oracle.pack(keep, 1))
        same(got, stored)


@pytest.mark.parametrize("p", [0, 0.0, 1])
def test_p_of_0_and_1(p: float) -> None:
    """At p = 0 no seed is needed. At p = 1 all is dropped."""
    x = CASES["grouped"].inputs("float32")
    kept = np.full(CASES["grouped"].scores, 1.0 - p)
    near(both(x, p, **({"seed": 1} if p else {})), reference(x, kept, None, False, 0), "float32")
    mask = bitdrop.attention(x["q"], x["k"], x["v"], p, seed=1, mask=True)[2]
    assert bitdrop.mask_count(mask) == (kept.size if p == 0 else 0)


def test_bits_of_softmax() -> None:
    """The mask is that of forward_softmax on all scores, also if the call has several blocks."""
    case = Case(1, 2, 1, 130, 1100, 8, 8, options={"causal": True, "causal_first": 970})
    x = case.inputs("float32")
    mask = bitdrop.forward_softmax(np.zeros(case.scores, "float32"), P, **STREAM)[2]
    stored = both(x, P, mask=True, **STREAM, **case.options)
    np.testing.assert_array_equal(stored["mask"], mask)
    kept = bitdrop.mask_unpack(mask, case.scores) / (1 - P)
    near(stored, reference(x, kept, None, True, 970), "float32")
    same(both(x, P, **STREAM, **case.options), stored)


def test_repeated_bias() -> None:
    """A bias with strides of 0, which rows, heads or samples share."""
    x = Case(bias=(1, 1, 6, 21)).inputs("float32")
    expected = both(x, P, **STREAM)
    for bias in (x["bias"][0, 0], np.broadcast_to(x["bias"], (2, 4, 6, 21)), x["bias"].repeat(4, 1)):
        same(both({**x, "bias": bias}, P, **STREAM), expected)
    row = {**x, "bias": normal("float32", 21)}
    rows = {**x, "bias": np.stack([row["bias"]] * 6)}
    expected = both(rows, P, **STREAM)
    for bias in (row["bias"], np.broadcast_to(row["bias"], (2, 4, 6, 21))):
        same(both({**row, "bias": bias}, P, **STREAM), expected)
    wide = normal("float32", 6, 30)
    same(both({**x, "bias": wide[:, 4:25]}, P, **STREAM), both({**x, "bias": wide[:, 4:25].copy()}, P, **STREAM))


# ---- Memory.


def by_rows(x: Any) -> Any:
    """The same values and shape. The order of dimensions in memory is [batch, rows, heads, elements]."""
    return x.swapaxes(1, 2).copy().swapaxes(1, 2)


def test_strides() -> None:
    x = CASES["grouped"].inputs("float32")
    expected = both(x, P, **STREAM)
    got = both({**x, **{name: by_rows(x[name]) for name in ("q", "k", "v", "dout")}}, P, **STREAM)
    same(got, expected)
    for name in ("out", "dq", "dk", "dv"):
        assert got[name].swapaxes(1, 2).flags.c_contiguous
        assert expected[name].flags.c_contiguous


def test_packed() -> None:
    """q, k and v are views of one array [batch, rows, 3, heads, elements], and so are their gradients."""
    x = Case(queries=21).inputs("float32")
    expected = both(x, P, **STREAM)
    qkv = np.ascontiguousarray(np.stack([x[name].swapaxes(1, 2) for name in "qkv"], 2))
    q, k, v = (qkv[:, :, i].swapaxes(1, 2) for i in range(3))
    got = both({**x, "q": q, "k": k, "v": v, "dout": by_rows(x["dout"])}, P, **STREAM)
    same(got, expected)
    assert got["out"].swapaxes(1, 2).flags.c_contiguous
    grads = np.full_like(qkv, 7)
    views = {f"d{name}": grads[:, :, i].swapaxes(1, 2) for i, name in enumerate("qkv")}
    dout, out, lse = by_rows(x["dout"]), got["out"], got["lse"]
    given = bitdrop.attention_backward(dout, q, k, v, P, out=out, lse=lse, **views, **STREAM)
    assert all(a is b for a, b in zip(given, views.values(), strict=True))
    same(views, expected)


@pytest.mark.parametrize("queries", [1, 6])
def test_repeated_inputs(queries: int) -> None:
    """Strides of 0: samples share k and v, and heads share q."""
    x = Case(queries=queries).inputs("float32")
    x["q"], x["k"], x["v"] = x["q"][:1, :1], x["k"][:1], x["v"][:1]
    shapes = {"q": (2, 4, queries, 5), "k": (2, 4, 21, 5), "v": (2, 4, 21, 5)}
    wide = {name: np.broadcast_to(x[name], shape) for name, shape in shapes.items()}
    out = bitdrop.attention(**wide, p=P, **STREAM)[0]
    assert out.flags.c_contiguous
    copies = {name: value.copy() for name, value in wide.items()}
    np.testing.assert_array_equal(out, bitdrop.attention(**copies, p=P, **STREAM)[0])


def test_outputs() -> None:
    x = CASES["plain"].inputs("float32")
    inputs = {name: x[name] for name in "qkv"}
    out, lse, mask = bitdrop.attention(**inputs, p=P, mask=True, **STREAM)
    nothing = bitdrop.attention(**inputs, p=P, lse=False, **STREAM)
    np.testing.assert_array_equal(nothing[0], out)
    assert nothing[1:] == (None, None)
    given = [by_rows(np.zeros_like(out)), np.zeros_like(lse), np.zeros_like(mask)]
    results = bitdrop.attention(**inputs, p=P, out=given[0], lse=given[1], mask=given[2], **STREAM)
    assert all(a is b for a, b in zip(results, given, strict=True))
    for a, b in zip(given, (out, lse, mask), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="dout must have the strides of out"):
        bitdrop.attention_backward(x["dout"], **inputs, p=P, out=given[0], lse=lse, **STREAM)


def test_dlpack() -> None:
    x = CASES["grouped"].inputs("float32")
    expected = both(x, P, **STREAM)
    tensors = {name: Tensor(by_rows(x[name])) for name in ("q", "k", "v", "dout")}
    out = Tensor(by_rows(np.zeros_like(expected["out"])))
    lse = Tensor(np.zeros_like(expected["lse"]))
    inputs = {name: tensors[name] for name in "qkv"}
    assert bitdrop.attention(**inputs, p=P, out=out, lse=lse, **STREAM)[0] is out
    np.testing.assert_array_equal(out.array, expected["out"])
    grads = bitdrop.attention_backward(tensors["dout"], **inputs, p=P, out=out, lse=lse, **STREAM)
    same(dict(zip(("dq", "dk", "dv"), grads, strict=True)), expected)


def test_no_samples() -> None:
    got = both(Case(batch=0).inputs("float32"), P, **STREAM)
    assert {name: value.shape for name, value in got.items()} == {
        **dict.fromkeys(("out", "dq"), (0, 4, 6, 5)),
        "lse": (0, 4, 6),
        **dict.fromkeys(("dk", "dv"), (0, 4, 21, 5)),
    }


# ---- Threads and parts. The bytes are the same as those of one whole call on one thread.

TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t)


@ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, TASK, ctypes.c_void_p)
def run(context: Any, tasks: int, task: Any, argument: Any) -> None:
    runs.append(tasks)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda i: task(argument, i), range(tasks)))


runs: list[int] = []


@pytest.mark.parametrize("kv_heads", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_threads(dtype: str, kv_heads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = Case(1, 3, kv_heads, 130, 700, 8, 8).inputs(dtype)
    options = {"causal": True, "causal_first": 570, **STREAM}
    expected = both(x, P, mask=True, **options)
    parallel = _library.Parallel(ctypes.cast(run, ctypes.c_void_p).value, None, 1)
    config = _library.config

    def shared(p: float, **settings: Any) -> _library.Config:
        cfg = config(p, **settings)
        cfg.parallel = ctypes.addressof(parallel)
        return cfg

    monkeypatch.setattr(_library, "config", shared)
    runs.clear()
    for tasks in (2, 4, 7):
        parallel.tasks = tasks
        same(both(x, P, mask=True, **options), expected)
    same(both(x, P, **options), expected)
    assert max(runs) == 7


def test_parts() -> None:
    """Calls on single samples and groups of heads, on several threads, give the bytes of the whole call."""
    case = Case(2, 4, 2, 9, 33, 8, 8, bias=(2, 4, 9, 33))
    x = case.inputs("float32")
    expected = both(x, P, **STREAM)
    results = {name: np.full_like(value, 7) for name, value in expected.items()}
    rows, group = case.queries * case.keys, 2

    def part(b: int, g: int) -> None:
        h = slice(g * group, (g + 1) * group)
        of = {"k": slice(g, g + 1), "v": slice(g, g + 1), "dk": slice(g, g + 1), "dv": slice(g, g + 1)}
        inputs = {name: value[b : b + 1, of.get(name, h)] for name, value in x.items()}
        offset = STREAM["offset"] + (b * case.heads + g * group) * rows
        got = both(inputs, P, index_heads=case.heads, **{**STREAM, "offset": offset})
        for name, value in got.items():
            results[name][b : b + 1, of.get(name, h)] = value

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(part, (0, 0, 1, 1), (0, 1, 0, 1)))
    same(results, expected)


def test_part_of_queries_and_keys() -> None:
    case = Case(1, 2, 2, 9, 33, 8, 8)
    x = case.inputs("float32")
    whole = bitdrop.attention(x["q"], x["k"], x["v"], P, mask=True, causal=True, causal_first=24, **STREAM)
    part = bitdrop.attention(
        x["q"][:, :, 3:7], x["k"], x["v"], P, mask=True, causal=True, causal_first=27, index_queries=9,
        **{**STREAM, "offset": STREAM["offset"] + 3 * 33},
    )  # fmt: skip
    near({"out": part[0]}, {"out": whole[0][:, :, 3:7].astype(np.float64)}, "float32")
    np.testing.assert_array_equal(part[2].reshape(2, 4, -1), whole[2].reshape(2, 9, -1)[:, 3:7])
    columns = bitdrop.attention(
        x["q"], x["k"][:, :, 8:24], x["v"][:, :, 8:24], P, mask=True, index_keys=33,
        **{**STREAM, "offset": STREAM["offset"] + 8},
    )[2]  # fmt: skip
    np.testing.assert_array_equal(columns, whole[2][:, 1:3])
