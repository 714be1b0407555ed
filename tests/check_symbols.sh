#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_symbols.sh libbitdrop.so libbitdrop.a bitdrop.h
# 1. The library must export exactly the functions that the header declares.
# 2. An ISA's object must define only its own tables: the linker could use its copy of a shared function everywhere.
# 3. No object may have an instruction above its tier.
set -eu

# A function's name is the last word in front of the parenthesis, which may be on a later line.
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

# The library may import only SLEEF's deterministic functions of one ISA each, and none of its dispatchers.
for name in $(nm -D --undefined-only "$1" | awk '$NF ~ /^Sleef/ { print $NF }'); do
    case $name in
        Sleef_finz_*_u[01][05]avx2 | Sleef_finz_*_u[01][05]avx512f) ;;
        Sleef_finz_*_u[01][05]advsimd | Sleef_finz_*_u[01][05]purecfma) ;;
        *) echo "$name is imported"; exit 1 ;;
    esac
done

[ "$(uname -m)" = x86_64 ] || { echo 'not x86-64: no AVX to look for'; exit 0; }
# Tier 0 is the baseline. Tier 1 is AVX2 with FMA, F16C and BMI2; 2 is AVX-512 with F, BW, DQ and VL; 3 has AVX512_BF16
# too. Tier 4 is what no object may have: other extensions of AVX and AVX-512, which are recognised by their names.
objdump -d --no-show-raw-insn "$2" | awk '
    /file format/ {
        member = $1
        sub(/:$/, "", member)
        tier = member !~ /avx/ ? 0 : member ~ /avx2/ ? 1 : member !~ /bf16|pairs/ ? 2 : 3
        seen[tier]++
        next
    }
    $2 ~ /^(v[a-z]|shlx|shrx|sarx|mulx|rorx|pdep|pext|bzhi|andn$|andn[lq]$)/ && $2 !~ /^ver[rw]$/ { needs = 1 }
    /%ymm/ { needs = 1 }
    /%zmm|%k[0-7]|%[xy]mm(1[6-9]|2[0-9]|3[01])/ { needs = 2 }
    $2 ~ /^v(dpbf16ps|cvtne)/ { needs = 3 }
    $2 ~ /^v(pdp[bw]|pcompress[bw]|pexpand[bw]|psh[lr]dv?[wdq]|popcnt|pshufbitqmb|perm[it]2b|permb$|pmultishift)/ ||
        $2 ~ /^v(pmadd52|pconflict|plzcnt|pbroadcastm|p2intersect|p4dp|4fn?madd|exp2|rcp28|rsqrt28|gf2p8|aes|pclmul)/ ||
        $2 ~ /^v(add|sub|mul|div|fn?m(add|sub)[0-9]+|sqrt|max|min|cmp)[ps]h$/ { needs = 4 }
    needs {
        used[needs]++
        if (needs > tier) { print member ": " $0; bad = 1 }
        needs = 0
    }
    END {
        for (tier = 0; tier < 4; tier++)
            if (!seen[tier]) { print "no objects of tier " tier " were read"; bad = 1 }
        for (needs = 1; needs < 4; needs++)
            if (!used[needs]) { print "no instruction of tier " needs " was found"; bad = 1 }
        exit bad
    }'
