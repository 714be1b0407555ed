#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_streaming.sh libbitdrop.a or object...
# The tables of x86-64 must have the instructions of streaming stores for each dtype, and of the fence. Tests of values
# would not notice a plain store instead.
set -eu

objdump -d --no-show-raw-insn "$@" | awk '
    /file format/ {
        file = $1
        sub(/:$/, "", file)
        if (file ~ /kernels_avx512\.c/) wanted[file] = "vmovntps-zmm vmovntpd-zmm vmovntdq-ymm vmovntdq-zmm sfence"
        if (file ~ /bf16_avx512\.c/) wanted[file] = "vmovntdq-zmm sfence"
        if (file ~ /kernels_avx2\.c/) wanted[file] = "vmovntps-ymm vmovntpd-ymm vmovntdq-xmm vmovntdq-ymm sfence"
    }
    $2 ~ /^vmovnt/ { found[file, $2 "-" substr($3, 2, 3)] = 1 }
    $2 == "sfence" { found[file, $2] = 1 }
    END {
        for (file in wanted) {
            tables++
            count = split(wanted[file], names, " ")
            for (i = 1; i <= count; i++)
                if (!((file, names[i]) in found)) { print file " has no " names[i]; bad = 1 }
        }
        if (!tables) { print "no table of x86-64 was read"; bad = 1 }
        exit bad
    }'
