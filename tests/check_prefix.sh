#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_prefix.sh prefix archive
# All symbols that the archive defines must begin with the prefix, so that one program can contain two copies.
set -eu

nm --extern-only --defined-only "$2" | awk -v prefix="$1" '
    NF == 3 && index($3, prefix) != 1 { print $3 " has no prefix"; bad = 1 }
    NF == 3 { symbols++ }
    END { if (symbols < 50) { print symbols + 0 " symbols were read"; bad = 1 }; exit bad }'
