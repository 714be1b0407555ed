#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_sources.sh source-folder file...
# meson must compile the files that CMake and a build by hand compile: src/*.c src/*/*.c.
set -eu

cd "$1"
shift
found=$(printf '%s\n' "$PWD"/src/*.c "$PWD"/src/*/*.c | sort)
given=$(for file in "$@"; do realpath -s "$file"; done | sort -u)
[ "$found" = "$given" ] || { printf 'in src:\n%s\n\nmeson compiles:\n%s\n' "$found" "$given"; exit 1; }
grep -q '^file(GLOB sources CONFIGURE_DEPENDS src/\*\.c src/\*/\*\.c)$' CMakeLists.txt
