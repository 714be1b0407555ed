#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tools/amalgamate.py folder [depfile]

Writes the library as six files into the folder, for engines that copy sources: bitdrop.h, bitdrop.c with all code that
every CPU can run, and a .c file for each other table of kernels. Also copies LICENSE and NOTICE. docs/vendoring.md is
the guide.

Replaces each #include of our own files by the text of the file. A file with an include guard is written once into each
.c file, and a template as often as it is included. The output depends only on the sources.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# For each file what it is, and the sources in it. Kernels are last in bitdrop.c, because gcc compiles everything after
# the first ones at -O3. In NEON they are last because they change how gcc for ARMv7 schedules.
FILES = {
    "bitdrop.c": (
        "the calls, and the kernels in plain C",
        """bitdrop.c parallel.c mask.c dropblock.c dispatch.c cpu/cpu.c cpu/cpu_x86.c cpu/tuning.c cpu/cpu_arm_linux.c
        cpu/cpu_arm_freebsd.c cpu/cpu_arm_macos.c cpu/cpu_arm_windows.c cpu/cpu_unknown.c
        attention.c attention_forward.c attention_backward.c
        scalar/math.c scalar/kernels_scalar.c scalar/attention_scalar.c""",
    ),
    "bitdrop_avx2.c": ("the kernels in AVX2", "avx2/kernels_avx2.c avx2/attention_avx2.c"),
    "bitdrop_avx512.c": ("the kernels in AVX-512", "avx512/kernels_avx512.c avx512/attention_avx512.c"),
    "bitdrop_avx512_bf16.c": (
        "the kernels of bf16 for CPUs with AVX512_BF16",
        "avx512/bf16_avx512.c avx512/attention_pairs_avx512.c",
    ),
    "bitdrop_neon.c": ("the kernels in NEON", "neon/attention_neon.c neon/kernels_neon.c"),
}

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
TOP = (
    SPDX
    + """\
/*
 * bitdrop {version}: {what}.
 *
 * Copyright the bitdrop authors. Licensed under the Apache License, version 2.0: see LICENSE in the same folder.
 *
 * Written by tools/amalgamate.py from the sources of bitdrop. Change those, not this file.
 */
"""
)
TOP_OF_C = """\
#include "bitdrop.h"

#if BITDROP_VERSION_NUMBER != {number}
#error "bitdrop.h is of another version of bitdrop than this file: copy all six files again"
#endif

#ifdef __clang__
#pragma clang diagnostic ignored "-Wunused-function" /* no file uses all of the shared functions */
#endif

"""
# Written to the header before its declarations.
PREFIXED = """
/* -DBITDROP_PREFIX=engine_ puts engine_ before the name of each function, here and in the .c files. */
#ifdef BITDROP_PREFIX
#define BITDROP_PREFIXED__(prefix, name) prefix##name
#define BITDROP_PREFIXED_(prefix, name) BITDROP_PREFIXED__(prefix, name)
#define BITDROP_PREFIXED(name) BITDROP_PREFIXED_(BITDROP_PREFIX, name)
"""
PUBLIC_HEADER = "bitdrop/bitdrop.h"
LAST_INCLUDE = "#include <stdint.h>\n"  # of PUBLIC_HEADER

# Ends `#pragma target` of an ISA. Sources that share a vec.h share the pragma, so only the last of them ends it.
TARGET_END = "template/target_end.h"
# Macros that our sources define and test by #ifdef or #ifndef. The branches that are not taken are left out.
SWITCHES = ("BITDROP_PARAMETERS", "WITH_AVX512_BF16")

INCLUDE = re.compile(r'#include (?:"([^"]+)"|<([^>]+)>)')
CONDITION = re.compile(r"#(if|ifdef|ifndef|elif|else|endif)\b *(.*)")
GUARD = re.compile(r"^#ifndef (\w+_H)\n#define \1\n", re.MULTILINE)
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)


read: list[Path] = []


def text_of(path: Path) -> str:
    """The text of a file of ours without the line of its licence, which TOP has."""
    text = path.read_text()
    if not text.startswith(SPDX):
        sys.exit(f"{path} does not begin with its licence")
    read.append(path)
    return text.removeprefix(SPDX)


def find(name: str, includer: Path) -> Path:
    """The file that #include "name" means."""
    for folder in (includer.parent, ROOT / "src", ROOT / "include"):
        if (folder / name).is_file():
            return folder / name
    sys.exit(f"{includer}: there is no {name}")


class Expansion:
    """The text of a .c file so far, and the conditions around its next line, except include guards and SWITCHES."""

    def __init__(self) -> None:
        self.text = ""
        self.conditions: list[str] = []
        self.places: dict[str, list[list[str]]] = {}
        self.switched_on: set[str] = set()

    def is_written(self, name: str) -> bool:
        """Whether a file was written under conditions that hold here too. If not, notes that it is written here."""
        places = self.places.setdefault(name, [])
        if any(self.conditions[: len(place)] == place for place in places):
            return True
        places.append(list(self.conditions))
        return False

    def follow(self, directive: str, condition: str) -> None:
        """Updates the conditions for an #if, #elif, #else or #endif."""
        if directive in ("elif", "else", "endif"):
            condition += " after " + self.conditions.pop()
        if directive == "endif":
            return
        if "BITDROP_HAVE" not in condition:  # all others may change from place to place
            condition += f" at {len(self.text)}"
        self.conditions.append(f"{directive} {condition}")

    def lines(self, text: str) -> Iterator[str]:
        """The lines of a file, without SWITCHES and branches not taken. A directive of several lines is one line."""
        branches: list[bool | None] = []  # for each #if around the line: whether it is taken; None: tests no switch
        for line in text.replace("\\\n", "\0").splitlines():
            directive, _, name = line.partition(" ")
            of_switch = name in SWITCHES
            if directive.startswith("#if"):
                branches.append((directive == "#ifdef") == (name in self.switched_on) if of_switch else None)
            elif directive == "#endif":
                of_switch = branches.pop() is not None
            elif directive == "#else" and branches[-1] is not None:
                of_switch = True
                branches[-1] = not branches[-1]
            elif of_switch and directive == "#define":
                self.switched_on.add(name)
            elif of_switch and directive == "#undef":
                self.switched_on.discard(name)
            if not of_switch and False not in branches:
                yield line.replace("\0", "\\\n")

    def include(self, name: str, includer: Path) -> None:
        """Replaces #include "name" by the text of the file, unless it was written before."""
        path = find(name, includer)
        has_guard = GUARD.search(text_of(path)) is not None
        if name != PUBLIC_HEADER and not (has_guard and self.is_written(str(path))):  # TOP_OF_C includes that header
            self.add(path)

    def add(self, path: Path, ends_target: bool = True) -> None:
        """Writes a file, and the files that it includes."""
        name = path.relative_to(ROOT).as_posix()
        text = text_of(path)
        has_guard = GUARD.search(text) is not None
        depth = 0  # number of #if of this file around the line

        self.text += f"/* ==== {name} ==== */\n"
        for line in self.lines(text):
            include, condition = INCLUDE.match(line), CONDITION.match(line)
            if include and include.group(1) == TARGET_END and not ends_target:
                continue
            if include and include.group(1):
                self.include(include.group(1), path)
            elif not include or not self.is_written(include.group(2)):
                self.text += line + "\n"
            if condition:
                depth -= condition.group(1) == "endif"
                if depth > 0 or not has_guard:
                    self.follow(*condition.groups())
                depth += condition.group(1).startswith("if")
        self.text += f"/* ==== end of {name} ==== */\n"


def names_in(code: str) -> set[str]:
    """Names of functions and objects, also some that are static."""
    code = COMMENT_OR_STRING.sub(" ", code)
    types = set(re.findall(r"\btypedef (?:struct |enum )?[^;({]*?\b(bitdrop_\w+)", code))
    return set(re.findall(r"(?<!struct )(?<!enum )\b(bitdrop_\w*[a-z0-9])\b", code)) - types


def renaming(names: set[str]) -> str:
    """The lines after #ifdef BITDROP_PREFIX."""
    lines = [f"#define {name} BITDROP_PREFIXED({name})" for name in sorted(names)]
    return "\n".join([*lines, "#endif", ""])


def amalgamation() -> dict[str, str]:
    """The text of each file."""
    header = text_of(ROOT / "include" / PUBLIC_HEADER)
    version = re.findall(r"#define BITDROP_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header)
    number = int("".join(part.zfill(2) for part in version))
    bodies = {}
    missing = set((ROOT / "src").rglob("*.c"))
    for name, (_, names) in FILES.items():
        sources = [ROOT / "src" / source for source in names.split()]
        expansion = Expansion()
        for source in sources:
            expansion.add(source, ends_target=source == sources[-1])
        bodies[name] = expansion.text
        missing.difference_update(sources)
    if missing:
        sys.exit(f"tools/amalgamate.py: FILES lacks {', '.join(map(str, sorted(missing)))}")

    public = names_in(header)
    internal = names_in("".join(bodies.values())) - set(re.findall(r"\w+", header))
    begin, rest = header.split(LAST_INCLUDE)
    texts = {"bitdrop.h": f"{begin}{LAST_INCLUDE}{PREFIXED}{renaming(public)}{rest}"}
    for name, body in bodies.items():
        texts[name] = TOP_OF_C.format(number=number) + f"#ifdef BITDROP_PREFIX\n{renaming(internal)}\n{body}"
    what = {"bitdrop.h": "its header"} | {name: what for name, (what, _) in FILES.items()}
    return {name: TOP.format(version=".".join(version), what=what[name]) + text for name, text in texts.items()}


def main() -> None:
    """Writes the files."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in amalgamation().items():
        (folder / name).write_text(text, newline="\n")
    for name in ("LICENSE", "NOTICE"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    if len(sys.argv) == 3:
        sources = " ".join(sorted({str(path).replace(" ", "\\ ") for path in read}))
        Path(sys.argv[2]).write_text(f"{folder / 'bitdrop.h'}: {sources}\n")


if __name__ == "__main__":
    main()
