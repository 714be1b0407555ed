# SPDX-License-Identifier: Apache-2.0
"""The package has all calls, constants, structures and operations of bitdrop.h and src/operations.h."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import bitdrop
from bitdrop import _library, _operations, _shapes

ROOT = Path(__file__).parents[2]
HEADER = re.sub(r"/\*.*?\*/", "", (ROOT / "include" / "bitdrop" / "bitdrop.h").read_text(), flags=re.DOTALL)
LIST = (ROOT / "src" / "operations.h").read_text().replace("\\\n", " ")

# Functions of the library without a public Python name. The package calls them, or does their work itself.
INSIDE = {"isa_name", "status_string", "version_number"}
INSIDE |= {"sizeof_config", "sizeof_2d", "sizeof_softmax", "sizeof_parallel", "sizeof_attention"}
INSIDE |= {"mask_2d_bytes"}  # the package computes the shapes of masks itself
INSIDE |= {"attention_scratch_bytes"}  # the package allocates scratch memory
OTHER_NAMES = {"attention_forward": "attention"}


def rows(macro: str, *columns: str) -> list[tuple[str, ...]]:
    """The rows of a list in operations.h. A row that the pattern does not match is an error."""
    text = re.search(rf"#define {macro}\(X\)(.*)", LIST)
    assert text
    found = re.findall(rf"X\({', *'.join(columns)}\)", re.sub(r" +", " ", text[1]))
    assert len(found) == text[1].count("X(") > 0
    return found


WORD, WORDS = r"(\w+)", r"\(([^()]*)\)"
BODIES = {name: marks == "1" for name, _, _, marks in rows("BITDROP_BODIES", WORD, WORD, WORD, WORD)}
OPERATIONS = rows("BITDROP_OPERATIONS", WORD, WORD, WORDS, WORDS, WORD, WORD, WORD, WORD)


def test_operations() -> None:
    expected = {}
    for name, function, arguments, inputs, bits, body, stored_body, _ in OPERATIONS:
        marks = body != stored_body if bits == "READ" else BODIES.get(body, False)
        expected[name] = (function, arguments.split(", "), inputs.split(", "), bits, marks)
    got = {}
    for name, operation in _operations.OPERATIONS.items():
        kinds = expected[name][2] if name in expected else []
        places = [i for i, kind in enumerate(kinds) if kind != "NONE"]
        words = {key: f"in[{i}]" for key, i in zip(operation.inputs, places, strict=False) if kinds[i] != "PROB"}
        words |= {"dx": "y", **{act: f"BITDROP_{act.upper()}" for act in _operations.ACTIVATIONS}}
        arguments = [words.get(word, word) for word in operation.arguments.split()]
        inputs = list(operation.inputs.values())
        for i, kind in enumerate(kinds):
            if kind == "NONE":
                inputs.insert(i, kind)
        got[name] = (operation.function, arguments, inputs, operation.bits, operation.marks)
    assert got == expected


def test_every_call_has_a_name() -> None:
    calls = set(re.findall(r"\bbitdrop_(\w+)\(", HEADER))
    assert {function for _, function, *_ in OPERATIONS} <= calls
    public = {OTHER_NAMES.get(call, call.removesuffix("_2d")) for call in calls - INSIDE}
    assert public <= set(bitdrop.__all__)
    assert all(callable(getattr(bitdrop, name)) for name in public)


def test_constants() -> None:
    enums = {name: int(value) for name, value in re.findall(r"BITDROP_(\w+) = (\d+)", HEADER)}
    names = [name for name in dir(_library) if re.fullmatch(r"(F|BF|(SCALE|STORES|ISA|MASK)_[A-Z])[A-Z0-9]*", name)]
    assert len(names) == 4 + 2 + 3 + 5 + 2
    assert {name: getattr(_library, name) for name in names} == {name: enums[name] for name in names}
    assert {enums[f"EACH_{unit.upper()}"]: unit for unit in _shapes.UNITS} == {v: k for k, v in _shapes.UNITS.items()}
    activations = re.search(r"enum bitdrop_activation \{(.*?)\}", HEADER, re.DOTALL)
    assert activations
    listed = re.findall(r"BITDROP_(\w+) = (\d+)", activations[1])
    assert {name.lower(): int(value) for name, value in listed} == _operations.ACTIVATIONS


def test_layouts() -> None:
    """The members and their types. The package compares the sizes with the library's when it loads it."""
    types: dict[str, Any] = {"double": ctypes.c_double, "size_t": ctypes.c_size_t}
    types |= {f"uint{bits}_t": getattr(ctypes, f"c_uint{bits}") for bits in (8, 32, 64)}
    types["int64_t"] = ctypes.c_int64
    for name, structure in _library._LAYOUTS.items():
        text = re.search(rf"typedef struct bitdrop_{name} \{{(.*?)\}} bitdrop_{name};", HEADER, re.DOTALL)
        assert text
        members = []
        for member in text[1].split(";")[:-1]:
            words = re.sub(r"\(\*(\w+)\)\(.*\)", r"*\1", " ".join(member.split()))  # a pointer to a function
            kind = words.removeprefix("const ").split()[0]
            for word in words.partition(" ")[2].split(", "):
                found = re.search(r"(\w+)(?:\[(\d+)\])?$", word)
                assert found
                bare = ctypes.c_void_p if "*" in word else types[kind]
                members.append((found[1], bare * int(found[2]) if found[2] else bare))
        assert tuple(members) == structure._fields_
