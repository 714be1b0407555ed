#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_cpus.sh build-folder
# Runs the programs that ./dev check cpus has built on CPUs that qemu emulates, and prints tables for docs/trust.md.
# - Every model of qemu-x86_64, models without a feature, and other architectures: AUTO must be the ISA that is written
#   here, and each ISA must have the hashes that it has on the CPU of this machine.
# - Nehalem, musl, and architectures that no other test has: all checks of bitdrop-selftest must pass.
# An instruction that a CPU does not have ends the program. A check that passed is not run again until the program
# changes.
set -eu

build=$1
results=$build/trust/cpus
mkdir -p "$results"
tried=0 bad=0

# wanted_isa model: prints the ISA that AUTO must be on a model of qemu-x86_64 7.2, which has no AVX-512.
wanted_isa() {
    case $1 in
        # A feature of AVX2's list is missing, XCR0 cannot be read, or CPUID has no leaf 7.
        *,-avx2 | *,-fma | *,-f16c | *,-bmi2 | *,-avx | *,-xsave | *,level=6) echo scalar ;;
        Opteron_G[123] | phenom | qemu64 | kvm64 | core2duo | Conroe | Penryn | Nehalem | Westmere) echo scalar ;;
        SandyBridge | IvyBridge | Opteron_G4) echo scalar ;; # AVX without AVX2
        Opteron_G5) echo scalar ;;                           # AVX, FMA and F16C without AVX2
        Denverton | Snowridge) echo scalar ;;                # without AVX
        Haswell | Broadwell | Skylake-Client | Skylake-Server | Cascadelake-Server | Cooperlake) echo avx2 ;;
        Icelake-Server | KnightsMill | EPYC | EPYC-Rome | EPYC-Milan | Dhyana | max) echo avx2 ;;
        486 | athlon | base | coreduo | kvm32 | n270 | pentium | pentium2 | pentium3 | qemu32) echo 32-bit ;;
        *) echo unknown ;;
    esac
}

wrong() {
    echo "WRONG: $*" >&2
    bad=$((bad + 1))
}

hashes_in() { grep -o 'mask hash [0-9a-f]*, value hash [0-9a-f]*' "$1" | sort -u; }

# run name program [emulator option...]: runs the program with $arguments, keeps its output, and compares the hashes.
run() {
    result=$results/$1 program=$build/$2
    shift 2
    tried=$((tried + 1))
    [ "$(cat "$result.right" 2>/dev/null)" != "$(cksum <"$program") $arguments" ] || return 0
    rm -f "$result.right"
    # shellcheck disable=SC2086 # arguments are words
    if ! "$@" "$program" $arguments >"$result" 2>"$result.errors"; then
        wrong "exit status: $* $program"
        cat "$result" "$result.errors" >&2
    elif [ "$(hashes_in "$result")" != "$hashes" ]; then
        wrong "hashes: $* $program. Here they are: $hashes"
        cat "$result" >&2
    else
        echo "$(cksum <"$program") $arguments" >"$result.right"
        return 0
    fi
    return 1
}

# choose isa text name folder [emulator option...]: checks that AUTO is this ISA there.
choose() {
    isa=$1 text=$2 name=$3 folder=$4
    shift 4
    arguments=
    run "hashes-$name" "$folder/tests/hashes" "$@" || return 0
    if grep -qx "default ISA $isa" "$result"; then
        echo "$isa $text" >>"$results/chosen"
    else
        wrong "$text: $(grep default "$result"), not $isa"
        rm "$result.right"
    fi
}

# choose_x86 model: the same for a model of qemu-x86_64.
choose_x86() {
    isa=$(wanted_isa "${1%-v[0-9]*}")
    case $isa in
        32-bit) ;;
        unknown) wrong "$0 does not say what AUTO is on $1" ;;
        *) choose "$isa" "$1" "$1" cpus-x86_64 qemu-x86_64 -cpu "$1" ;;
    esac
}

# check text name folder [emulator option...]: runs bitdrop-selftest, and prints a row with its ISAs and cases.
check() {
    text=$1 name=$2 folder=$3
    shift 3
    arguments='--quick --no-table --seed=1'
    run "selftest-$name" "$folder/programs/bitdrop-selftest" "$@" || return 0
    awk -v text="$text" '/ ok, [0-9]+ cases: / { if (!seen[$1]++) isas = isas " " $1; cases += $4 }
        END { printf "| %s |%s | %d |\n", text, isas, cases }' "$result"
}

"$build/cpus-x86_64/tests/hashes" >"$results/here"
hashes=$(hashes_in "$results/here")
echo "Here, by $(sed -n 's/: mask.*//p' "$results/here" | paste -s -d ' '): $hashes."
[ "$(echo "$hashes" | wc -l)" -eq 1 ] || { echo 'WRONG: the ISAs of this CPU differ' >&2; exit 1; }

: >"$results/chosen"
for model in $(qemu-x86_64 -cpu help | awk '$1 == "x86" && !/alias/ { print $2 }'); do
    choose_x86 "$model"
done
for off in avx2 fma f16c bmi2 avx xsave; do
    choose_x86 "Haswell,-$off"
    choose_x86 "max,-$off"
done
choose_x86 Haswell,level=6

choose scalar 'i686 with SSE2' i686 i686 qemu-i386
choose neon AArch64 aarch64 aarch64 qemu-aarch64
choose neon 'ARMv7 with NEON' armv7 armv7 qemu-arm
choose scalar 'ARMv7 without NEON' armv7-no-neon armv7 qemu-arm -cpu max,neon=off
choose scalar 'PowerPC64, little-endian' ppc64le ppc64le qemu-ppc64le
choose scalar 'PowerPC64, big-endian' ppc64 ppc64 qemu-ppc64
choose scalar 'MIPS, big-endian' mips mips qemu-mips
choose scalar RISC-V riscv64 riscv64 qemu-riscv64
choose scalar 's390x, big-endian' s390x s390x qemu-s390x
printf '\n| AUTO | CPU, and how many versions of it qemu has |\n|---|---|\n'
sed 's/-v[0-9]*$//' "$results/chosen" | uniq -c | awk '{
        text = $1 > 1 ? " (" $1 ")" : ""
        isa = $2
        sub(/^ *[0-9]+ [^ ]+ /, "")
        cpus[isa] = cpus[isa] (cpus[isa] == "" ? "" : "; ") $0 text
    }
    END { for (isa in cpus) printf "| %s | %s |\n", isa, cpus[isa] }' | sort

# ./dev test runs all checks on AArch64, ARMv7 and s390x. No model with AVX2 can run them: in qemu 7.2 its masked loads
# read elements that the mask leaves out, and the checks put these on an unmapped page.
printf '\n| all checks on | ISAs | cases |\n|---|---|---|\n'
check 'x86-64 with musl, here' musl cpus-musl env
check 'x86-64, Nehalem' Nehalem cpus-x86_64 qemu-x86_64 -cpu Nehalem
check 'i686 with SSE2' i686 i686 qemu-i386
check 'PowerPC64, little-endian' ppc64le ppc64le qemu-ppc64le
check 'PowerPC64, big-endian' ppc64 ppc64 qemu-ppc64
check 'MIPS, big-endian' mips mips qemu-mips
check RISC-V riscv64 riscv64 qemu-riscv64

[ "$bad" -eq 0 ] || exit 1
printf '\n%d runs, all right\n' "$tried"
