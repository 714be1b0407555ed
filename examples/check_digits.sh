#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_digits.sh digits
# Checks that a short run makes the same masks and scores on every ISA, and that an error in a file is reported with its
# line.
set -eu

digits=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export OPENBLAS_NUM_THREADS=1

BITDROP_ISA=scalar "$digits" --seeds=1 --epochs=2 2>/dev/null | sed '$d' >"$dir/scalar"
grep -q 'hash of all masks' "$dir/scalar"
for isa in avx2 avx512 neon; do
    if BITDROP_ISA=$isa "$digits" --seeds=1 --epochs=2 >"$dir/$isa" 2>"$dir/error"; then
        sed '$d' "$dir/$isa" | diff "$dir/scalar" -
        echo "$isa: like scalar"
    else
        grep -q 'not run by this CPU' "$dir/error"
        echo "$isa: skipped, not run by this CPU"
    fi
done

# Dropout must raise the accuracy on test digits, over five seeds.
"$digits" 2>/dev/null | awk '
    /^without dropout/ { without = $6 }
    /^dropout p/ { with = $8 }
    END { print "test accuracy", without, with; exit !(without > 0.7 && with > without + 0.04) }'

# usage: refuses what-the-message-says < file
refuses() {
    cat >"$dir/bad.csv"
    if "$digits" "$dir/bad.csv" 2>"$dir/error"; then
        echo "accepted: $1"
        exit 1
    elif [ $? -ne 1 ]; then
        echo "exit status is not 1: $1"
        exit 1
    fi
    grep -q "$1" "$dir/error" || { cat "$dir/error"; exit 1; }
}
row=$(yes 0 | head -64 | tr '\n' ,)7
printf '%s\n' "$row" "$row" | refuses 'line 3: the file ends'
printf '' | refuses 'line 1: the file ends'
printf '%s\n' "$row" "${row%,*}" | refuses 'line 2: 65 numbers'
printf '%s\n' "$row" "$row,1" | refuses 'line 2: more than 65'
printf '%s\n' "$row" "17,${row#*,}" | refuses 'line 2: a pixel is above 16'
printf '%s\n' "$row" "-1,${row#*,}" | refuses 'line 2: a number is expected'
printf '%s\n' "$row" '' | refuses 'line 2: a number is expected'
printf '%s\n' "$row" "${row%7}10" | refuses 'line 2: a label is above 9'
printf '%s\n' "$row" "x,${row#*,}" | refuses 'line 2: a number is expected'
printf '%s\n' "$row" "1.5,${row#*,}" | refuses 'line 2: 65 numbers with commas'
printf '%s\n' "$row" "$(yes "$row" | head -9 | tr '\n' ,)" | refuses 'line 2: more than 65'
printf '%s\r\n' "$row" "$row" | refuses 'line 3: the file ends'
for wrong in --seeds=5x --seeds=0 --epochs=-1 --p=1 --nonsense; do
    if "$digits" "$wrong" 2>"$dir/error"; then exit 1; else [ $? -eq 2 ]; fi
done
yes "$row" | head -2000 | gzip | head -c 100 | refuses 'line [0-9]*: .'
rm "$dir/bad.csv"
if "$digits" "$dir/bad.csv" 2>"$dir/error"; then exit 1; else [ $? -eq 1 ]; fi
grep -q 'No such file' "$dir/error"
