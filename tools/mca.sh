#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints for the hot loops of NEON (tools/mca_neon.c) the number of instructions, and cycles on some CPUs by llvm-mca.
# usage: [CC=aarch64-linux-gnu-gcc-14] [CFLAGS=...] [CPUS='neoverse-n2'] [MCAFLAGS=...] tools/mca.sh [aarch64|armv7]
set -eu
cd "$(dirname "$0")/.."

case ${1:-aarch64} in
    aarch64)
        triple=aarch64-linux-gnu package=arm64 comment='#' chains=2
        cflags=${CFLAGS:--O3 -march=armv8-a}
        cpus=${CPUS:-cortex-a53 cortex-a72 neoverse-n1 neoverse-v1}
        ;;
    armv7) # LLVM models Cortex-A15 as A9, and has no model of A7 and A8
        triple=arm-linux-gnueabihf package=armhf comment=@ chains=1
        cflags=${CFLAGS:--O3 -march=armv7-a -mfpu=neon -fno-schedule-insns}
        cpus=${CPUS:-cortex-a9 cortex-a15 swift cortex-a57}
        ;;
    *)
        echo 'usage: tools/mca.sh [aarch64|armv7]' >&2
        exit 2
        ;;
esac
cc=${CC:-$triple-gcc}
iterations=200
mca=$(command -v llvm-mca-19 || command -v llvm-mca || true)

# need program package: stops if there is no such program.
need() {
    command -v "${1:-none}" >/dev/null && return
    echo "tools/mca.sh needs $2; on Debian 12: apt-get install llvm-19 gcc-$triple libc6-dev-$package-cross" >&2
    exit 1
}
need "$mca" llvm-19
need "${cc%% *}" "gcc-$triple"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# shellcheck disable=SC2086 # words
$cc -std=c11 $cflags -ffp-contract=off -fno-reorder-blocks -Iinclude -Isrc -S -o - tools/mca_neon.c |
    sed "s|[^ 	]* LLVM-MCA|$comment LLVM-MCA|" >"$dir/loops.s"
awk '/LLVM-MCA-BEGIN/ { bad += open; open = 1 } /LLVM-MCA-END/ { bad += !open; open = 0 } END { exit bad || !NR }' \
    "$dir/loops.s" || { echo "$cc moves code across the marks (clang does): use gcc" >&2; exit 1; }

# Counts in each region: vector instructions, broadcasts to all lanes (ld1r, dup), loads and stores of the stack, and
# all instructions.
awk '/LLVM-MCA-BEGIN/ { region = $NF; next }
    /LLVM-MCA-END/ { print region, vector, broadcast, stack + 0, all; region = ""; vector = broadcast = stack = all = 0 }
    region == "" || !/^\t[a-z]/ { next }
    { all++ }
    /\[(sp|fp|x29|r7)/ { stack++ }
    /^\t(ld1r|dup|vdup|vld1\.32\t\{d[0-9]+\[\])/ { broadcast++; next }
    /^\tv?(ld|st)/ { next }
    / v[0-9]+\.|\tv[0-9]+\.|^\tv[a-z.0-9]+\t[qd][0-9]/ { vector++ }' "$dir/loops.s" >"$dir/counts"

for cpu in $cpus; do
    # llvm-mca skips instructions that it does not know: IT, which costs nothing, and LDM of core registers, which the hot
    # loops do not have.
    # shellcheck disable=SC2086
    "$mca" -mtriple=$triple -mcpu="$cpu" -skip-unsupported-instructions=any ${MCAFLAGS:-} -iterations=$iterations \
        "$dir/loops.s" 2>"$dir/warnings" |
        awk -v cpu="$cpu" '/Code Region/ { region = $NF } /^Total Cycles:/ { print cpu, region, $3 / '$iterations' }'
done >"$dir/cycles"
[ -s "$dir/cycles" ] || { cat "$dir/warnings" >&2; exit 1; }

# Prints the regions, and the sums that docs/performance.md has. With p = 0.1 the first 8 bits of T are 00011001. A
# segment is 8 planes of 512 elements for each chain, and a strip has 32 elements. With ten rounds all strips are applied
# between the rounds of a segment. With seven, half of them are left: 16 of 32 with two chains, 8 of 16 with one.
awk -v cpus="$cpus" -v chains=$chains '
    function row(name, counts, cycles, format,   i) {
        printf "%-34s %-27s", name, counts
        for (i = 1; i <= n; i++)
            printf format, cycles[i]
        print ""
    }
    function segment(suffix, rounds,   i) {
        for (i = 1; i <= n; i++)
            out[i] = (5 * c[cpu[i], "plane-" rounds "-0" suffix] + 3 * c[cpu[i], "plane-" rounds "-1" suffix])
    }
    BEGIN { n = split(cpus, cpu, " ") }
    NR == FNR { counts[++regions] = sprintf("%6d %6d %6d %6d", $2, $3, $4, $5); name[regions] = $1; next }
    { c[$1, $2] = $3 }
    END {
        printf "%-34s %6s %6s %6s %6s", "region", "vector", "dup", "stack", "all"
        for (i = 1; i <= n; i++)
            printf "%12s", cpu[i]
        print "   cycles"
        for (r = 1; r <= regions; r++) {
            for (i = 1; i <= n; i++)
                out[i] = c[cpu[i], name[r]]
            row(name[r], counts[r], out, "%12.1f")
        }
        print "\ncycles per element, p = 0.1, without late planes"
        for (rounds = 10; rounds >= 7; rounds -= 3) {
            segment("", rounds)
            for (i = 1; i <= n; i++)
                out[i] /= 512 * chains
            row("mask, " rounds " rounds", "", out, "%12.3f")
            segment("-f32", rounds)
            for (i = 1; i <= n; i++)
                out[i] = (out[i] + (rounds == 7 ? 8 * chains * c[cpu[i], "strip-f32"] : 0)) / (512 * chains)
            row("forward f32, " rounds " rounds", "", out, "%12.3f")
        }
        types = split("f32 f64 f16 bf16", type, " ")
        for (t = 1; t <= types; t++) {
            for (i = 1; i <= n; i++)
                out[i] = c[cpu[i], "strip-" type[t]] / 32
            row("backward " type[t], "", out, "%12.3f")
        }
    }' "$dir/counts" "$dir/cycles"
