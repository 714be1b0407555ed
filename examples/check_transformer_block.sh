#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_transformer_block.sh transformer_block
# Checks on each ISA that fused calls and separate passes have the same losses, and that the losses fall.
set -eu

block=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export OPENBLAS_NUM_THREADS=1

yes 'What is dropped in training is there at inference.' | head -100 >"$dir/text"
for isa in scalar avx2 avx512 neon; do
    if BITDROP_ISA=$isa "$block" --steps=60 "$dir/text" >"$dir/out" 2>"$dir/error"; then
        grep -q '^all losses are the same, to the bit: yes$' "$dir/out"
        awk '/^loss of the first step/ { first = $(NF - 1) }
            /^mean loss of the last tenth/ { last = $(NF - 1) }
            END { print first, "->", last; exit !(first > 2 && last < 0.5 * first) }' "$dir/out"
    else
        grep -q 'not run by this CPU' "$dir/error"
        echo "$isa: skipped, not run by this CPU"
    fi
done

# usage: refuses status what-the-message-says argument...
refuses() {
    status=$1 message=$2
    shift 2
    if "$block" "$@" >"$dir/out" 2>"$dir/error"; then
        echo "accepted: $*"
        exit 1
    elif [ $? -ne "$status" ]; then
        echo "exit status is not $status: $*"
        exit 1
    fi
    grep -q "$message" "$dir/error" || { cat "$dir/error"; exit 1; }
}
for wrong in --steps=0 --steps=5x --steps=-1 --p=1 --p=-0.1 --p=x --nonsense; do
    refuses 2 usage "$wrong" "$dir/text"
done
refuses 2 usage "$dir/text" "$dir/text"
refuses 1 'cannot be opened' "$dir/missing"
printf 'short' >"$dir/short"
refuses 1 'shorter than two sequences' "$dir/short"
