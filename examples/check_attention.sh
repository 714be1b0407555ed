#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_attention.sh attention
# Checks on each ISA that one call for all steps agrees with a call for each step, and that gradients agree with finite
# differences.
set -eu

attention=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

for isa in scalar avx2 avx512 neon; do
    for sizes in '--tokens=100 --heads=3 --dim=16' '--tokens=77 --heads=2 --dim=5 --causal' \
        '--tokens=150 --heads=1 --dim=70 --p=0' '--tokens=64 --heads=2 --dim=64 --p=0.5 --batch=3 --causal'; do
        # shellcheck disable=SC2086 # the sizes are words
        if BITDROP_ISA=$isa "$attention" --runs=1 $sizes >"$dir/out" 2>"$dir/error"; then
            grep -q '^all agree: yes$' "$dir/out"
            echo "$isa $sizes: $(sed -n 's/^gradients //p' "$dir/out")"
        elif ! grep -q 'not run by this CPU' "$dir/error"; then
            cat "$dir/out" "$dir/error"
            exit 1
        else
            echo "$isa: skipped, not run by this CPU"
            break
        fi
    done
done
for wrong in --batch=0 --heads=x --tokens=1 --dim=1.5 --p=1 --p=-0.1 --p=x --runs=0 --nonsense argument; do
    if "$attention" "$wrong" >"$dir/out" 2>"$dir/error"; then
        echo "accepted: $wrong"
        exit 1
    elif [ $? -ne 2 ]; then
        echo "exit status is not 2: $wrong"
        exit 1
    fi
    grep -q usage "$dir/error"
done
