#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_guide.sh names.h page.md blocks compiler...
# The C of a guide compiles: at least so many blocks. Blocks that begin with #include are files. The others are
# statements, and each sees the names of those before it, and those of names.h.
set -eu

names=$1
page=$2
blocks=$3
shift 3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

awk -v names="$names" -v files="$dir/files" -v statements="$dir/statements" '
    BEGIN { print "#include \"" names "\"" >files; print "void guide(void)\n{" >statements }
    /^```/ {
        if (out == statements) braces = braces "}"
        out = ""
        begins = $0 == "```c"
        next
    }
    begins {
        out = /^#include / ? files : statements
        print (out == files ? "" : "{\n") "#line " NR " \"" FILENAME "\"" >out
        begins = 0
        count++
    }
    out != "" { print >out }
    END { print braces "}" >statements; print count + 0 }' "$page" >"$dir/count"
cat "$dir/files" "$dir/statements" >"$dir/guide.c"
# The guides leave out what is no part of the matter: the use of a result.
"$@" -std=c11 -fsyntax-only -Wall -Wextra -Werror -Wno-unused -Wno-unused-result -Wno-unknown-pragmas "$dir/guide.c"
[ "$(cat "$dir/count")" -ge "$blocks" ] || { echo "$page has $(cat "$dir/count") blocks of C, not $blocks"; exit 1; }
