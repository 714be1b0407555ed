#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Breaks src/ in one place after another, and runs the tests each time.

A mutant is one change in one line. Only the objects that include the file are compiled, at -O0. A mutant that does not
compile, or compiles to the same bytes, does not count. A mutant that no test notices has survived. It needs a new test,
or a row in the table of docs/trust.md, section Mutants, that says why no test can notice it.

Results are kept in build/mutants while src/, tests/ and include/ stay the same. A later run continues from them.
"""

import argparse
import concurrent.futures
import fnmatch
import hashlib
import json
import os
import pathlib
import queue
import random
import re
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

Mutant = dict[str, Any]
Row = tuple[str, str, str]

SOURCE = pathlib.Path(__file__).resolve().parent.parent
WORK = SOURCE / "build/mutants"
WORKERS = len(os.sched_getaffinity(0))
ISAS = ("avx512", "avx2", "scalar")  # the best first
NOT_HERE = ("*/neon/*", "*/cpu_arm*", "*/cpu_unknown.c", "*/have.h")  # no test on this machine runs these

# Lines that change no value: hints to the compiler, and directives of the preprocessor.
HINTS = re.compile(r"__builtin_expect|__builtin_prefetch|prefetch_lines|__attribute__|__asm__|_Static_assert|^\s*#")
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)

# Each word is replaced by the other word of its pair. Operators have a space on both sides.
SWAPPED = """
    == != | < <= | > >= | && || | + - | * / | << >> | & \\| | += -= | \\|= &= | ++ -- | true false
    slli srli | and or | max min | unpacklo unpackhi | stream store | stream storeu | fmadd fmsub | fnmadd fnmsub
    _CMP_NLE_UQ _CMP_LT_OQ | epi32 epi64 | movehl movelh | add sub | UNIT_ELEMENT UNIT_ROW | even odd | low high
"""
# The first word is replaced by the second.
REPLACED = """
    % / | ^ \\| | <= > | >= < | !( ( | xor or | andnot and | srai srli | maskz_mov mov | mul add | epu16 epi16
    _MM_FROUND_TO_NEAREST_INT _MM_FROUND_CUR_DIRECTION | _CMP_NEQ_OQ _CMP_EQ_OQ | _CMP_UNORD_Q _CMP_ORD_Q
"""
STATEMENT = re.compile(
    r"^\s+(?!return|goto|break|continue|else|case|typedef|enum)[\w>*().,\[\]&+-]+( [-+|&^%<>]*= .*|\(.*\)|[+-]{2});"
)
INITIALIZER = re.compile(r"^\s+\.\w+ = .*,(?=$|\s)")
CONDITION = re.compile(r"\b(if|while) \((.*)\)(?=$| \{)")
COMMUTES = re.compile(r".*(add|mul|xor|_and|_or|smaller|overlap)(_\w+)?\(")
ARRAY = re.compile(r"\s+(?!return)(?:\w+ )+\**\w+\[")
FUNCTION = re.compile(r"^[A-Za-z_].*?(\w+|[TC]\(\w+\))\)?\(")


def word(text: str) -> re.Pattern[str]:
    """A pattern that finds an operator between spaces, or a part of an identifier."""
    if re.search(r"\w", text):
        return re.compile(rf"(?<![a-z0-9]){text}(?![a-z0-9])")
    return re.compile(re.escape(text) if text in ("++", "--", "!(") else rf"(?<=\s){re.escape(text)}(?=\s)")


def rules() -> list[tuple[re.Pattern[str], str]]:
    """[(pattern, replacement)] of REPLACED and SWAPPED."""
    pairs = [(text, re.split(r" \| |\n", text.strip())) for text in (REPLACED, SWAPPED)]
    found = []
    for text, words in pairs:
        for pair in words:
            a, b = pair.replace("\\|", "|").split()
            found.append((word(a), b))
            if text is SWAPPED:
                found.append((word(b), a))
    return found


RULES = rules()


def changes(line: str, blank: str) -> Iterator[str]:
    """The mutants of one line. `blank` is the line without comments and strings, of the same length."""
    found = []
    for pattern, other in RULES:
        found += [(m.start(), m.end(), other) for m in pattern.finditer(blank)]
    for m in re.finditer(r"(?<![\w.])(?<![ep][-+])(0x[0-9A-F]+|0|[1-9]\d*)(?=U?L?L?\b(?![.p]))", blank):
        if ARRAY.match(blank):  # a larger array changes no value
            break
        number, base = int(m[0], 0), "#x" if m[0].startswith("0x") else "d"
        found += [(m.start(), m.end(), format(n, base)) for n in (number + 1, number - 1) if n >= 0]
    for m in re.finditer(r"\bBITDROP_ERR_\w+", blank):
        found.append((m.start(), m.end(), "BITDROP_OK"))
    for m in re.finditer(r"(\w+\()([^(),]+), ([^(),]+)(?=[,)])", blank):  # the first two arguments
        if not COMMUTES.match(m[1]):
            found.append((m.start(), m.end(), f"{m[1]}{m[3]}, {m[2]}"))
    for m in CONDITION.finditer(blank):
        found += [(m.start(2), m.end(2), f"!({line[m.start(2) : m.end(2)]})"), (m.start(2), m.end(2), "0")]
    for m in STATEMENT.finditer(blank):
        found.append((len(blank) - len(blank.lstrip()), m.end(), ";"))
    for m in INITIALIZER.finditer(blank):
        found.append((0, m.end(), ""))
    for start, end, other in found:
        yield line[:start] + other + line[end:]


def mutants_of(path: str) -> dict[str, list[Mutant]]:
    """{function: [mutant]} of one file."""
    text = (SOURCE / path).read_text()
    blanks = COMMENT_OR_STRING.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text).split("\n")
    found: dict[str, list[Mutant]] = {}
    seen: dict[tuple[str, str, str], int] = {}
    function = ""
    for number, (line, blank) in enumerate(zip(text.split("\n"), blanks, strict=True)):
        if begins := FUNCTION.match(blank):
            function = begins[1]
        if HINTS.search(blank):
            continue
        if re.match(r"\w", blank):  # not the signature of a function, but the body if it is on the same line
            blank = blank.partition("{")[2].rjust(len(blank)) if "{" in blank else ""
        for changed in dict.fromkeys(changes(line, blank)):
            same = (path, line.strip(), changed.strip())
            seen[same] = seen.get(same, 0) + 1
            mutant = {"file": path, "line": line.strip(), "becomes": changed.strip(), "nth": seen[same]}
            mutant.update(number=number, changed=changed)
            found.setdefault(function, []).append(mutant)
    return found


def key(mutant: Mutant) -> tuple[str, str, str, int]:
    """Names a mutant, without the number of its line."""
    return mutant["file"], mutant["line"], mutant["becomes"], mutant["nth"]


def all_mutants(seed: str, only: str) -> Iterator[Mutant]:
    """All mutants in the order in which they are tested: one of each function, then a second one, and so on."""
    rounds: dict[int, list[Mutant]] = {}
    for path in sorted(p.relative_to(SOURCE).as_posix() for p in SOURCE.glob("src/**/*.[ch]")):
        if any(fnmatch.fnmatch(path, skipped) for skipped in NOT_HERE) or not fnmatch.fnmatch(path, only):
            continue
        if not isas_of(path):
            continue
        for function, mutants in mutants_of(path).items():
            shuffle = random.Random(f"{seed} {path} {function}")
            for i, mutant in enumerate(shuffle.sample(mutants, len(mutants))):
                rounds.setdefault(i, []).append(mutant)
    for i in sorted(rounds):
        yield from random.Random(f"{seed} {i}").sample(rounds[i], len(rounds[i]))


def explained() -> list[Row]:
    """The rows of docs/trust.md: | `file` | `part of a line` | `the line after the change`, or any | why |."""
    section = (SOURCE / "docs/trust.md").read_text().partition("\n## Mutants\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(src/.*?)` \| `(.*?)` \| (?:`(.*?)`|any) \| .+ \|$", section, re.MULTILINE)
    return [(file, line.replace("\\|", "|"), becomes.replace("\\|", "|")) for file, line, becomes in rows]


def is_explained(mutant: Mutant, rows: list[Row]) -> bool:
    """Whether a row explains the mutant. The file of a row may have * in it."""
    return any(
        fnmatch.fnmatch(mutant["file"], file) and line in mutant["line"] and becomes in ("", mutant["becomes"])
        for file, line, becomes in rows
    )


def limit() -> None:
    """In the child process: give it the lowest priority, and limit its time."""
    os.nice(19 - os.nice(0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))  # ends an endless loop; other load does not count


def run(command: list[str], folder: pathlib.Path, **env: str) -> tuple[bool, str]:
    """Run a command. Return whether it succeeds, and its output."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=limit,
            timeout=1800,
            start_new_session=True,  # so that Ctrl-C does not end it, which would pass for a failed test
        )
    except subprocess.TimeoutExpired:
        return False, "timeout"
    return done.returncode == 0, done.stdout


def must(command: list[str], folder: pathlib.Path) -> str:
    """Run a command that must succeed, and return its output."""
    right, output = run(command, folder)
    if not right:
        sys.exit(f"mutants.py: {shlex.join(command)} failed:\n{output}")
    return output


class Tree:
    """A copy of the sources with its build. Tests one mutant at a time."""

    # Objects that are compiled, and then the tests that run, the fastest first. The first failure ends the test.
    stages = (
        (r"/libvocabulary_(avx2|avx512|scalar)\.", (("tests/suite", "isa/@(vocabulary|philox|mask_rows)"),)),
        (
            "",
            (
                ("tests/test_dispatch", "*/*"),
                ("tests/suite", "isa/!(every_length|gaussian|half_values|large_calls|parallel)"),
                ("tests/suite", "*/*"),
                ("tests/callbacks", ""),
            ),
        ),
        (r"/streaming\.", (("tests/streaming", ""),)),
    )
    programs = ("tests/suite", "tests/test_dispatch", "tests/callbacks", "tests/streaming")

    def __init__(self, root: pathlib.Path) -> None:
        self.root, self.build = root, root / "build"
        commands = json.loads((self.build / "compile_commands.json").read_text())
        self.compile = {c["output"]: shlex.split(c["command"]) for c in commands}
        self.users: dict[str, list[str]] = {}  # {file: objects that include it}
        for entry in must(["ninja", "-t", "deps"], self.build).split("\n\n"):
            target, *files = entry.split("\n    ")
            for file in files:
                self.users.setdefault(os.path.normpath(self.build / file), []).append(target.partition(":")[0])
        self.inputs: dict[str, set[str]] = {}  # {program: its objects, with those in archives}
        self.link: dict[str, list[str]] = {}
        for program in self.programs:
            inputs = must(["ninja", "-t", "inputs", program], self.build).split()
            self.inputs[program] = {i for i in inputs if i.endswith(".o")}
            self.link[program] = must(["ninja", "-t", "commands", "-s", program], self.build).split()

    def objects(self, file: str, isa: str) -> list[tuple[int, str]]:
        """[(stage, object)] of the objects that include the file, without those of other ISAs."""
        found = []
        others = [f"_{other}" for other in ISAS if other != isa]
        for name in self.users.get(str(self.root / file), []):
            if any(name in inputs for inputs in self.inputs.values()) and not any(other in name for other in others):
                stage = next((i for i in (0, 2) if re.search(self.stages[i][0], name)), 1)
                found.append((stage, name))
        return sorted(found)

    def build_object(self, name: str) -> bool | None:
        """Compile a changed object. Return whether it differs from the usual one; None if it does not compile."""
        out = name + ".mutant"
        command = self.compile[name]
        at = command.index("-o")
        command = [*command[:at], "-o", out, *command[at + 2 :]]
        if not run(command, self.build)[0]:
            return None
        return (self.build / out).read_bytes() != (self.build / name).read_bytes()

    def killed_by(self, program: str, changed: set[str], isa: str, checks: str) -> str:
        """Link and run a test program with the changed objects. Return the name of the test that fails, or ''."""
        changed = self.inputs[program] & changed
        if not changed:
            return ""
        # Changed objects must come before the archives that have the usual ones.
        link = [f"{word}.mutant" if word in changed else word for word in self.link[program]]
        link[link.index("-o") + 1] = "mutant"
        archives = link.index("-Wl,--start-group")
        link[archives:archives] = [
            "-Wl,-z,muldefs",
            *(f"{o}.mutant" for o in sorted(changed) if f"{o}.mutant" not in link),
        ]
        if not run(link, self.build)[0]:
            return "linker"
        options = ["--jobs=1", "--fail-fast", f"--filter={checks}"] if checks else []
        thin = "4" if checks == "*/*" else "20"
        right, output = run(["./mutant", *options], self.build, BITDROP_ISA=isa, BITDROP_TEST_THIN=thin)
        if right:
            return ""
        failed = re.search(r"\[FAIL\] (\w+::\w+)", output)
        return failed[1] if failed else program

    def killed_by_instructions(self, changed: set[str]) -> str:
        """Return the name of the check if it finds that streaming stores have become other instructions, or ''."""
        tables = [f"{o}.mutant" for o in changed if re.search(r"libbitdrop.*(kernels|bf16)_avx", o)]
        return (
            "check_streaming.sh" if tables and not run(["../tests/check_streaming.sh", *tables], self.build)[0] else ""
        )

    def test(self, mutant: Mutant, isa: str, last: bool) -> str | None:
        """Return what kills the mutant; '' if it survives; None if it does not count. `last`: this is the last ISA."""
        file = self.root / mutant["file"]
        usual = file.read_text()
        lines = usual.split("\n")
        lines[mutant["number"]] = mutant["changed"]
        file.write_text("\n".join(lines))
        changed: set[str] = set()
        try:
            objects = self.objects(mutant["file"], isa)
            for i, (_, tests) in enumerate(self.stages if last else self.stages[:-1]):
                for name in [name for stage, name in objects if stage == i]:
                    differs = self.build_object(name)
                    if differs is None:
                        return None
                    if differs:
                        changed.add(name)
                for program, checks in tests:
                    killer = self.killed_by(program, changed, isa, checks)
                    if killer:
                        return killer
            return self.killed_by_instructions(changed) if changed else None
        finally:
            file.write_text(usual)


def isas_of(file: str) -> list[str]:
    """The ISAs of this CPU whose tests may notice a mutant of the file, the best first."""
    flags = pathlib.Path("/proc/cpuinfo").read_text().partition("\nflags")[2].partition("\n")[0].split()
    here = [isa for isa in ISAS if {"avx512": "avx512vl", "scalar": "fpu"}.get(isa, isa) in flags]
    own = [isa for isa in ISAS if f"/{isa}/" in file]
    if own:
        return [isa for isa in own if isa in here]
    return here if re.search("/(template|op)/", file) else here[:1]


def prepare() -> None:
    """Make a tree for each worker. Remove trees and results of other sources and tests."""
    parts = [p for folder in ("src", "tests", "include") for p in sorted((SOURCE / folder).rglob("*")) if p.is_file()]
    label = hashlib.sha256(b"".join(str(p).encode() + p.read_bytes() for p in parts)).hexdigest()[:16]
    state = WORK / "label"
    if state.is_file() and state.read_text() == label:
        for i in range(WORKERS):  # a run that was killed leaves its mutant
            shutil.copytree(SOURCE / "src", WORK / str(i) / "src", dirs_exist_ok=True)
        return
    shutil.rmtree(WORK, ignore_errors=True)
    first = WORK / "0"
    shutil.copytree(SOURCE, first, ignore=lambda d, _: {"build", ".git", "python"} if d == str(SOURCE) else ())
    options = ["-Dtests=enabled", "-Dexamples=disabled", "-Dbench=disabled", "-Ddefault_library=static"]
    must(["meson", "setup", "build", "-Doptimization=0", "-Dwarning_level=0", *options], first)
    must(["ninja", "-j", str(WORKERS), "-C", "build", *Tree.programs], first)
    for i in range(1, WORKERS):
        shutil.copytree(first, WORK / str(i), symlinks=True)
    state.write_text(label)


def main() -> None:
    """Test --count mutants that count, and print the result of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="number of mutants (300)")
    parser.add_argument("--seed", default="1", help="of the order in which mutants are chosen (1)")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="only mutants of these files, as src/template/*")
    parser.add_argument("--list", action="store_true", help="only print the mutants")
    options = parser.parse_args()
    mutants = all_mutants(options.seed, options.only)
    if options.list:
        for m in mutants:
            print(f"{m['file']}: {m['line']} -> {m['becomes']}")
        return
    prepare()
    results_file = WORK / "results.jsonl"
    known = {}
    if results_file.is_file():
        known = {key(m): m["killer"] for m in map(json.loads, results_file.read_text().splitlines())}
    trees: queue.SimpleQueue[Tree] = queue.SimpleQueue()
    for i in range(WORKERS):
        trees.put(Tree(WORK / str(i)))

    def test(mutant: Mutant) -> tuple[Mutant, str | None]:
        if key(mutant) not in known:
            known[key(mutant)] = None
            tree = trees.get()
            isas = isas_of(mutant["file"])
            for isa in isas:
                killer = tree.test(mutant, isa, isa == isas[-1])
                if killer is not None:
                    known[key(mutant)] = killer
                if killer:
                    break
            trees.put(tree)
            with open(results_file, "a") as out:
                out.write(json.dumps({**mutant, "killer": known[key(mutant)]}) + "\n")
        return mutant, known[key(mutant)]

    rows = explained()
    killed, reasons = 0, 0
    survivors: list[str] = []
    pool = concurrent.futures.ThreadPoolExecutor(WORKERS)
    waiting: list[concurrent.futures.Future[tuple[Mutant, str | None]]] = []
    try:
        while killed + reasons + len(survivors) < options.count:
            while len(waiting) < 10 * WORKERS and (mutant := next(mutants, None)):
                waiting.append(pool.submit(test, mutant))
            if not waiting:
                break
            mutant, killer = waiting.pop(0).result()
            if killer is None:
                continue
            text = f"{mutant['file']}:{mutant['number'] + 1}: {mutant['line']} -> {mutant['becomes']}"
            if killer:
                killed += 1
                print(f"killed by {killer}: {text}", flush=True)
            elif is_explained(mutant, rows):
                reasons += 1
                print(f"explained: {text}", flush=True)
            else:
                survivors.append(text)
                print(f"SURVIVED: {text}", flush=True)
    finally:  # after Ctrl-C too, the mutants that are being tested end first
        pool.shutdown(cancel_futures=True)
    for text in survivors:
        print(text)
    count = killed + reasons + len(survivors)
    print(f"{count} mutants, {killed} killed, {reasons} explained, {len(survivors)} survived")
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
