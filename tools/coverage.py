#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the tables of "Coverage" in docs/trust.md from the JSON of gcovr.

The exit status is 1 if a line of src/ was not reached and is not in EXPLAINED, which is for CPUs with AVX512_BF16.
"""

import collections
import json
import sys
from pathlib import Path

# (file, text of the first line that is not reached): (number of lines, why)
EXPLAINED = {
    ("src/attention.c", "return BITDROP_ERR_RANGE;"): (
        1,
        "a second guard: `sizes_are_right` has refused all sizes whose scratch memory does not fit",
    ),
    ("src/attention_backward.c", "return 0;"): (1, "the same"),
    ("src/dropblock.c", "return status;"): (1, "`bitdrop_mask` cannot fail after the checks of the call"),
    ("src/dropblock.c", "return; /* not possible: what it depends on has been checked */"): (1, "the same"),
    ("src/run_call.h", "return;"): (
        1,
        "only 32-bit machines: a mask of 2^32 bits or more, which takes 512 MiB; elsewhere it would not fit in memory",
    ),
    ("src/template/generators.h", "apply_waiting(work, work_waiting(work) - goal);"): (
        1,
        "a guard: bursts are rounded up, so nothing is left to catch up with",
    ),
    (
        "src/template/plain.h",
        "static inline void copy_partial(unsigned char *buffer, size_t bytes, const void *p, size_t n,",
    ): (
        5,
        "only NEON: a vector of the scalar ISA is one element, so no row ends within one",
    ),
}


class Folder:
    """Lines and branches of one folder: how many there are, and how many were reached."""

    def __init__(self) -> None:
        self.files = 0
        self.lines = [0, 0]
        self.branches = [0, 0]

    def add(self, file: dict) -> None:
        """Add a file of gcovr's JSON to the counts."""
        lines = [line for line in file["lines"] if not line.get("gcovr/noncode")]
        branches = [branch for line in lines for branch in line["branches"]]
        self.files += 1
        for count, reached in ((self.lines, [line["count"] for line in lines]), (self.branches, branches)):
            count[0] += len(reached)
            count[1] += sum(bool(r if isinstance(r, int) else r["count"]) for r in reached)

    def row(self, name: str) -> str:
        """Return the folder's row of the table."""
        cells = [f"`{name}`" if name != "all" else name, f"{self.files}"]
        for all_, reached in (self.lines, self.branches):
            cells += [f"{all_:,}", f"{reached:,}", f"{100 * reached / max(all_, 1):.1f} %"]
        return f"| {' | '.join(cells)} |"


def missed(file: dict) -> dict[str, int]:
    """Return the text of the first line of each block that was not reached, and the number of lines of the block."""
    source = Path(file["file"]).read_text().splitlines()
    blocks: dict[str, int] = {}
    first = ""
    for line in file["lines"]:
        if line.get("gcovr/noncode"):
            continue
        if line["count"]:
            first = ""
        else:
            first = first or source[line["line_number"] - 1].strip()
            blocks[first] = blocks.get(first, 0) + 1
    return blocks


def main() -> int:
    """Print the tables, and the blocks that EXPLAINED does not have."""
    files = json.loads(Path(sys.argv[1]).read_text())["files"]
    folders: dict[str, Folder] = collections.defaultdict(Folder)
    found = {}
    for file in files:
        if file["lines"]:
            folders[str(Path(file["file"]).parent)].add(file)
            folders["all"].add(file)
            found.update({(file["file"], text): count for text, count in missed(file).items()})

    print("| folder | files | lines | reached | | branches | taken | |\n|---|---|---|---|---|---|---|---|")
    for name in sorted(folders, key=lambda name: (name == "all", name)):
        print(folders[name].row(name))
    print("\n| not reached | lines | why |\n|---|---|---|")
    for (file, text), (count, why) in EXPLAINED.items():
        if (file, text) in found:
            print(f"| `{file}`: `{text}` | {count} | {why} |")
    wrong = 0
    for key, count in sorted(found.items()):
        if count > EXPLAINED.get(key, (0, ""))[0]:
            wrong += 1
            print(f"\n{key[0]}: {count} lines not reached, from: {key[1]}")
    if wrong:
        print("\nReach these lines with a test, or explain them in EXPLAINED of tools/coverage.py.")
        return 1
    total = folders["all"]
    print(
        f"\n{total.lines[1]:,} of {total.lines[0]:,} lines, the others explained; "
        f"{100 * total.branches[1] / total.branches[0]:.1f} % of {total.branches[0]:,} branches"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
