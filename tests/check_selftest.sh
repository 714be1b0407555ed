#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_selftest.sh bitdrop-selftest bitdrop-selftest.1 [flush.so]
# Wrong arguments must be refused before anything runs, with the exit status that the help says. The manual page must
# have the options, ISAs and exit statuses of the help. The checks must also pass if flush.so (flush.c) sets
# flush-to-zero.
set -eu

unset BITDROP_ISA
selftest=$1
flush=${3:-}
failed=0

# refused status argument...: the program must print nothing to stdout, and exit with this status.
refused() {
    wanted=$1
    shift
    status=0
    output=$("$selftest" "$@" 2>/dev/null) || status=$?
    if [ "$status" -ne "$wanted" ] || [ -n "$output" ]; then
        echo "status $status, not $wanted: BITDROP_ISA=${BITDROP_ISA-} $*"
        failed=1
    fi
}

refused 2 --fast
refused 2 avx3
refused 2 ''
refused 2 auto
refused 2 --seed
refused 2 --seed=
refused 2 --seed=7x
refused 2 --seed=-1
refused 2 --seed=18446744073709551616
refused 2 --table --no-table
case $(uname -m) in
    aarch64 | arm*) refused 77 avx2 ;;
    *) refused 77 neon ;;
esac
if [ -n "$flush" ]; then
    output=$(LD_PRELOAD=$(realpath "$flush") "$selftest" --quick scalar) || failed=1
    echo "$output" | grep '^denormals .*flushed' || failed=1
fi
BITDROP_ISA=avx3
export BITDROP_ISA
refused 2
help=$("$selftest" --help)
said=$(sed -n -e 's/\\-/-/g' -e 's/^\.B[IR]* \([a-z0-9-]*\).*/\1/p' "$2")
for word in $(echo "$help" | sed -n -e 's/^ISAs: //p' -e 's/^  \(--[a-z-]*\).*/\1/p') \
    $(echo "$help" | sed -n '/^Exit status/,$p' | tr ';' '\n' | grep -o '[0-9][0-9]*'); do
    echo "$said" | grep -qx -e "$word" || { echo "the manual page has no $word"; failed=1; }
done
echo "$help" | grep -q '^Exit status'
exit $failed
