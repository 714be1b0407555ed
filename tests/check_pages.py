#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check the blocks of code in README.md, docs/*.md and python/README.md.

usage: check_pages.py c-compiler... [-- c++-compiler...]

- c, cpp: must compile. A block that defines a function, with "{" alone on a line, is a part of a file. Other blocks are
  statements. They can use names of earlier blocks of the page, and of tests/pages.h or tests/pages.hpp.
- python: a test of python/tests must run the page, or a page with the same block.
- sh: the shell must be able to parse it, and ./dev help must have each command of ./dev.
- cmake, meson: projects in examples/consumers, which other tests build, must have each line.
- console: only in pages that tests/check_tutorial.sh runs.
- text: is not code, and is not checked.

A block without a language, or with any other, is an error. A block that cannot be checked must have
<!-- not run: the reason --> on the line above it.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TYPED_IN = {ROOT / "docs/tutorial.md"}  # tests/check_tutorial.sh compiles and runs these pages
FENCE = re.compile(
    r"^(?P<reason><!-- not run: \S.* -->\n)?(?P<indent> *)```(?P<language>.*)\n(?P<code>(?:.*\n)*?)(?P=indent)```$",
    re.MULTILINE,
)
# Examples leave out what they are not about: the use of a result, and where data comes from. The -Wno-... allow that.
COMPILE = (
    "-fsyntax-only -Wall -Wextra -Werror -Wno-unused -Wno-unused-parameter -Wno-unused-result -Wno-unknown-pragmas "
    "-Wno-uninitialized -Wno-missing-field-initializers"
)
STANDARDS = {"c": "-std=c11", "cpp": "-std=c++20"}


@dataclass
class Block:
    """A fenced block. `line` is the number of its first line of code."""

    page: Path
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> tuple[list[Block], list[str]]:
    """Return the blocks to check, and errors of the fences."""
    text = page.read_text(encoding="utf-8")
    fences = list(FENCE.finditer(text))
    blocks = [
        Block(page, text.count("\n", 0, fence.start("code")) + 1, fence["language"], fence["code"])
        for fence in fences
        if not fence["reason"]
    ]
    wrong = []
    if text.count("```") != 2 * len(fences):
        wrong.append(f"{page.relative_to(ROOT)}: ``` may only begin and end blocks")
    return blocks, wrong


def compile_page(language: str, blocks: list[Block], compiler: list[str]) -> list[str]:
    """Compile the blocks of one page as one file. Return its errors."""
    page = blocks[0].page
    includes, functions, statements = "", "", ""
    for block in blocks:
        lines = block.code.splitlines(keepends=True)
        includes += "".join(line for line in lines if line.startswith("#include"))
        rest = "".join("\n" if line.startswith("#include") else line for line in lines)
        place = f'#line {block.line} "{page}"\n'
        if "{\n" in lines:
            functions += place + rest
        else:
            statements += "{\n" + place + rest
    header, library = {"c": ("pages.h", "bitdrop/bitdrop.h"), "cpp": ("pages.hpp", "vector")}[language]
    depth = statements.count("{\n#line")
    source = (
        f"{includes}{functions}#include <{library}>\n#include <stdlib.h>\n"
        f'void page(void)\n{{\n#include "{header}"\n{statements}' + "}" * (depth + 1)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"page.{language}")
        path.write_text(source + "\n", encoding="utf-8")
        include = [f"-I{ROOT / 'include'}", f"-I{ROOT / 'tests'}"]
        command = [*compiler, STANDARDS[language], *COMPILE.split(), *include, str(path)]
        run = subprocess.run(command, capture_output=True, text=True)
    return [] if run.returncode == 0 else [f"{page.relative_to(ROOT)}: {shlex.join(compiler)} says\n{run.stderr}"]


def check_shell(block: Block, commands: set[str]) -> list[str]:
    """Parse a block of sh. It is not run, because some blocks install packages or take minutes."""
    run = subprocess.run(["sh", "-n"], input=block.code, capture_output=True, text=True)
    wrong = [f"{block}: {run.stderr.strip()}"] if run.returncode else []
    unknown = set(re.findall(r"^\./dev (\S+)", block.code, re.MULTILINE)) - commands
    return wrong + [f"{block}: ./dev help does not have {command}" for command in sorted(unknown)]


def check_build(block: Block, consumers: str) -> list[str]:
    """Look for each line, without its comment, in the consumers' build files."""
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in block.code.splitlines())
    return [f"{block}: no project in examples/consumers has {line}" for line in lines if line not in consumers]


def check_blocks(blocks: list[Block]) -> list[str]:
    """Check the blocks that are not compiled."""
    text = subprocess.run([ROOT / "dev", "help"], capture_output=True, text=True, check=True).stdout
    commands = set(re.findall(r"^  (\w+)", text, re.MULTILINE))
    builds = [*ROOT.glob("examples/consumers/*/CMakeLists.txt"), *ROOT.glob("examples/consumers/*/meson.build")]
    consumers = "".join(file.read_text(encoding="utf-8") for file in builds)
    tests = "".join(file.read_text(encoding="utf-8") for file in ROOT.glob("python/tests/test_*docs.py"))
    pages = {block.page for block in blocks if f'"{block.page.relative_to(ROOT)}"' in tests}
    run = {block.code for block in blocks if block.language == "python" and block.page in pages}

    wrong = []
    for block in blocks:
        match block.language:
            case "c" | "cpp" | "text":
                pass
            case "console" if block.page in TYPED_IN:
                pass
            case "python":
                if block.code not in run:
                    wrong.append(f"{block}: a test like python/tests/test_torch_docs.py must name this page and run it")
            case "sh":
                wrong += check_shell(block, commands)
            case "cmake" | "meson":
                wrong += check_build(block, consumers)
            case "":
                wrong.append(f"{block}: a block must have a language, or text, after ```")
            case other:
                wrong.append(f"{block}: tests/check_pages.py does not know the language {other}")
    return wrong


def main() -> None:
    """Print all errors, and exit with 1 if there are any."""
    arguments = sys.argv[1:]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    compilers = {"c": arguments[:end], "cpp": arguments[end + 1 :]}
    blocks, wrong = [], []
    for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), ROOT / "python/README.md"]:
        found, unclear = blocks_of(page)
        blocks += found
        wrong += unclear
        for language, compiler in compilers.items():
            ours = [block for block in found if block.language == language]
            if ours and compiler and page not in TYPED_IN:
                wrong += compile_page(language, ours, compiler)
    wrong += check_blocks(blocks)
    print(*wrong, f"{len(blocks)} blocks, {len(wrong)} faults", sep="\n")
    sys.exit(1 if wrong or not blocks else 0)


main()
