#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_symbols.sh libbitdrop.so libbitdrop.a bitdrop.h
# What the header declares is exported, and nothing else; an ISA's object defines only its own tables, or the linker
# could take its copy of a shared function for the whole library; and no AVX or BMI instruction is in the other objects.
set -eu

# The name is the last word before the bracket, which may be on a later line.
declared=$(sed -n -e '/^BITDROP_API/!d' -e :line -e '/(/!{' -e n -e 'b line' -e '}' -e 's/ *(.*//' \
    -e 's/.*[ *]//' -e p "$3")
exported=$(nm -D --defined-only "$1" | awk '{ print $NF }')
[ -n "$declared" ] || { echo "no function was read from $3"; exit 1; }
for name in $declared $exported; do
    printf '%s\n' "$exported" | grep -qx "$name" || { echo "$name is not exported"; exit 1; }
    printf '%s\n' "$declared" | grep -qx "$name" || { echo "$name is exported, but not in the header"; exit 1; }
done

nm --extern-only --defined-only "$2" | awk '
    /(kernels|attention|pairs|bf16)_(scalar|avx2|avx512|neon)\.c\.o:$/ { isa = $1; objects++; next }
    /:$/ { isa = ""; next }
    isa != "" && NF == 3 && $3 !~ /^bitdrop_(kernels|attention|avx512_bf16)_[a-z0-9_]+$/ {
        print isa " defines " $3
        bad = 1
    }
    END { if (objects < 2) { print "fewer than two ISAs were read"; bad = 1 }; exit bad }'

# Of SLEEF only what is deterministic and is called by the name of its ISA: no dispatchers.
for name in $(nm -D --undefined-only "$1" | awk '$NF ~ /^Sleef/ { print $NF }'); do
    case $name in
        Sleef_finz_*_u[01][05]avx2 | Sleef_finz_*_u[01][05]avx512f) ;;
        Sleef_finz_*_u[01][05]advsimd | Sleef_finz_*_u[01][05]purecfma) ;;
        *) echo "$name is imported"; exit 1 ;;
    esac
done

[ "$(uname -m)" = x86_64 ] || { echo 'not x86-64: no AVX to look for'; exit 0; }
objdump -d --no-show-raw-insn "$2" | awk '
    /file format/ { member = $1; sub(/:$/, "", member); baseline = member !~ /avx/; seen[baseline]++ }
    /%[yz]mm/ || ($2 ~ /^(v[a-z]|shlx|shrx|sarx|mulx|rorx|pdep|pext|bzhi|andn$|andn[lq]$)/ && $2 !~ /^ver[rw]$/) {
        if (baseline) { print member ": " $0; bad = 1 } else vectors = 1
    }
    END { if (!seen[0] || !seen[1] || !vectors) { print "no objects of both kinds were read"; bad = 1 }; exit bad }'
