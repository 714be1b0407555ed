#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_by_hand.sh hashes source-folder libbitdrop.so.X.Y compiler...
# A library that is compiled by hand, as engines do it, must have the same ISAs and the same hashes as the library that
# the program hashes (hashes.c) is linked to. Compilers must not warn.
set -eu

hashes=$(realpath "$1")
source=$2
soname=$3
shift 3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cd "$dir"
# The same as cc -O2 -c src/*.c src/*/*.c -Iinclude -Isrc, but in parallel and with warnings.
printf '%s\n' "$source"/src/*.c "$source"/src/*/*.c |
    xargs -P 4 -n 1 "$@" -O2 -Wall -Wextra -Wpedantic -Werror -fPIC -I"$source/include" -I"$source/src" -c
"$@" -shared -Wl,-soname,"$soname" -o by_hand.so ./*.o -lm

# If by_hand.so did not replace the library, the library would be compared with itself.
if LD_PRELOAD="$dir/by_hand.so" ldd "$hashes" | grep libbitdrop; then
    echo 'by_hand.so does not replace libbitdrop'
    exit 1
fi

"$hashes" >library
LD_PRELOAD="$dir/by_hand.so" "$hashes" >by_hand
cat by_hand
diff library by_hand
[ "$(grep -c 'mask hash' by_hand)" -gt 0 ]
if grep -qw avx2 /proc/cpuinfo 2>/dev/null; then
    ! grep -q 'default ISA scalar' by_hand || { echo 'scalar is the default, but the CPU has AVX2'; exit 1; }
fi
