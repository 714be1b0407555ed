#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_symbols.sh libbitdrop.so libbitdrop.a
# Only bitdrop_* is exported; an ISA's object defines nothing but what its tables hold, or the linker could take
# a copy of a shared function from it; and no AVX or BMI instruction stands in the other objects.
set -eu

exported=$(nm -D --defined-only "$1" | awk '{print $NF}')
foreign=$(printf '%s\n' "$exported" | grep -v '^bitdrop_' || true)
if [ -z "$exported" ] || [ -n "$foreign" ]; then
    echo "exported beside bitdrop_*: $foreign"
    exit 1
fi
for call in mask forward backward recompute infer; do
    printf '%s\n' "$exported" | grep -qx "bitdrop_${call}_2d" || { echo "bitdrop_${call}_2d is missing"; exit 1; }
done

nm --extern-only --defined-only "$2" | awk '
    /(kernels|bf16)\.c\.o:$/ { isa = $1; objects++; next }
    /:$/ { isa = ""; next }
    isa != "" && NF == 3 && $3 !~ /^bitdrop_(kernels|avx512_bf16)_[a-z0-9_]+$/ { print isa " defines " $3; bad = 1 }
    END { if (objects < 2) { print "fewer than two ISAs were read"; bad = 1 }; exit bad }'

[ "$(uname -m)" = x86_64 ] || { echo 'not x86-64: no AVX to look for'; exit 0; }
objdump -d --no-show-raw-insn "$2" | awk '
    /file format/ { member = $1; sub(/:$/, "", member); baseline = member !~ /avx/; seen[baseline]++ }
    /%[yz]mm/ || ($2 ~ /^(v[a-z]|shlx|shrx|sarx|mulx|rorx|pdep|pext|bzhi|andn)/ && $2 !~ /^ver[rw]$/) {
        if (baseline) { print member ": " $0; bad = 1 } else vectors = 1
    }
    END { if (!seen[0] || !seen[1] || !vectors) { print "no objects of both kinds were read"; bad = 1 }; exit bad }'
