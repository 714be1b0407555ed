#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_quickstart.sh quickstart source-dir
# Checks that the README shows this program and its output.
set -eu

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
awk '/^```c$/ { code = !seen++; next } /^```/ { code = 0 } code' "$2/README.md" >"$dir/shown.c"
sed 1d "$2/examples/quickstart.c" | diff "$dir/shown.c" -
grep -qF "\`$("$1")\`" "$2/README.md"
