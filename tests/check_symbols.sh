#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_symbols.sh libbitdrop.so libbitdrop.a
# Only bitdrop_* is exported, and no AVX instruction stands in an object that every x86-64 runs.
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

case $(uname -m) in x86_64) ;; *) echo 'not x86-64: no AVX to look for'; exit 0 ;; esac
objdump -d --no-show-raw-insn "$2" | awk '
    /file format/ { member = $1; sub(/:$/, "", member); baseline = member !~ /avx/; seen[baseline]++ }
    baseline && ($2 ~ /^v[a-z]/ || /%[yz]mm/) && $2 !~ /^ver[rw]$/ { print member ": " $0; bad = 1 }
    !baseline && /%[yz]mm/ { vectors = 1 }
    END { if (!seen[0] || !seen[1] || !vectors) { print "no objects of both kinds were read"; bad = 1 }; exit bad }'
