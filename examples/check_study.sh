#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_study.sh digits
# Checks that the study prints the same on every ISA, that its file has the figures, and that dropout has its effects.
set -eu

digits=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export OPENBLAS_NUM_THREADS=1
if grep -qsw avx2 /proc/cpuinfo; then export OPENBLAS_CORETYPE=Haswell; fi # as ./dev demo

BITDROP_ISA=scalar "$digits" --study --seeds=1 --epochs=1 >"$dir/scalar" 2>/dev/null
for isa in avx2 avx512 neon; do
    if BITDROP_ISA=$isa "$digits" --study --seeds=1 --epochs=1 >"$dir/$isa" 2>"$dir/error"; then
        diff "$dir/scalar" "$dir/$isa"
        echo "$isa: like scalar"
    else
        grep -q 'not run by this CPU' "$dir/error"
        echo "$isa: skipped, not run by this CPU"
    fi
done

"$digits" --study --seeds=1 --epochs=30 --csv="$dir/csv" >"$dir/out" 2>/dev/null

# The file has a line for each p, and the chosen p has the best validation accuracy. An accuracy is that of all 500
# digits, so some are not whole percentages; accuracies of one fifth would be.
awk -F, '
    NR == 1 { next }
    NF != 7 || $1 != 1 || $2 != sprintf("%.1f", (NR - 2) / 10) || $3 !~ /^[01]$/ { wrong = 1 }
    !($4 > 0.2 && $4 < 1 && $6 > 0.2 && $6 < 1 && $5 > 0 && $7 > 0) { wrong = 1 }
    $4 > best { best = $4 }
    $4 !~ /\.[0-9][0-9]0000$/ { fine = 1 }
    $3 == 1 { chosen++; accuracy = $4 }
    END {
        print "validation accuracy", accuracy, "of the choice, best", best
        exit wrong || !fine || NR != 10 || chosen != 1 || accuracy != best
    }' "$dir/csv"

# usage: figure row column: prints the mean there
figure() {
    sed -n "s/^ *$1  *\([0-9].*+-\)/\1/p" "$dir/out" | awk -v column="$2" '{ print $(3 * column - 2) }'
}
# usage: less what a b margin: fails unless a + margin < b
less() {
    echo "$1: $2 is less than $3"
    awk -v a="$2" -v b="$3" -v margin="$4" 'BEGIN { exit !(a > 0 && a + margin < b) }'
}
less 'test accuracy without anything, with dropout' "$(figure nothing 1)" "$(figure dropout 1)" 0.01
less 'test accuracy without anything, with early stopping' "$(figure nothing 1)" "$(figure 'early stopping' 1)" 0.01
less 'mistaken loss of 30 passes, of one' "$(figure '30 passes that drop' 4)" "$(figure '1 pass, nothing dropped' 4)" \
    0.01
grep -q 'to the last bit: 1 of 1' "$dir/out"

# A channel is dropped as a whole, and at least one is.
awk '
    /whole channels/ { here = 1 }
    /blocks of/ { here = 0 }
    here && /^   [#.]/ {
        for (i = 1; i <= NF; i++) {
            count[$i]++
            wrong = wrong || (i in above && $i != above[i])
            above[i] = $i
        }
    }
    END { exit wrong || count["########"] + count["........"] != 56 || !count["........"] }' "$dir/out"

for wrong in '--study --p=0.5' '--csv=x' '--study --seeds=0'; do
    # shellcheck disable=SC2086 # words
    if "$digits" $wrong 2>"$dir/error"; then exit 1; else [ $? -eq 2 ]; fi
done
csv=$dir/none/csv
if "$digits" --study --seeds=1 --epochs=1 --csv="$csv" >"$dir/out" 2>"$dir/error"; then exit 1; else [ $? -eq 1 ]; fi
grep -q "$csv: No such file" "$dir/error"
