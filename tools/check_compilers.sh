#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_compilers.sh hashes libbitdrop.so.X.Y results compiler...
# Compiles the library without meson, by each compiler and with each set of flags, and prints a table for docs/trust.md.
# Checks that
# - hashes (tests/hashes.c), which is linked to another build, prints the same ISAs and the same hashes of masks and
#   values when it loads the library compiled here,
# - tests/fast_math.c, compiled with -ffast-math and without, finds the same masks and values,
# - each compiler refuses to compile the library with -ffast-math.
# results is a folder. A library that passed is not compiled again until a source or the compiler changes.
set -eu

hashes=$(realpath "$1") soname=$2 results=$3
shift 3
mkdir -p "$results"
results=$(realpath "$results")
source=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tried=0 bad=0
library=$(dirname "$(dirname "$hashes")")

wrong() {
    echo "WRONG: $*" >&2
    bad=$((bad + 1))
}

# compile_library compiler flag...: writes by_hand.so in $work.
compile_library() (
    cd "$work"
    rm -f ./*.o by_hand.so
    printf '%s\n' "$source"/src/*.c "$source"/src/*/*.c |
        xargs -P 2 -n 1 "$@" -Wall -Wextra -Wpedantic -Werror -fPIC -I"$source/include" -I"$source/src" -c &&
        "$@" -fPIC -shared -Wl,-soname,"$soname" -o by_hand.so ./*.o -lm
)

# with_library command...: runs it with by_hand.so instead of the library that it is linked to.
with_library() { LD_PRELOAD=$work/by_hand.so "$@"; }

# try name compiler flag...: compiles the library and checks it.
try() {
    result=$results/$1
    shift
    sum=$({ cat "$source"/src/*.[ch] "$source"/src/*/*.[ch] "$source"/include/*/*.h "$hashes" && "$@" --version; } |
        cksum)
    tried=$((tried + 1))
    [ "$(cat "$result.right" 2>/dev/null)" != "$sum" ] || return 0
    rm -f "$result.right"
    if ! compile_library "$@" >"$result" 2>&1; then
        wrong "$* does not compile the library"
        tail -n 20 "$result" >&2
    elif with_library ldd "$hashes" | grep -q libbitdrop; then
        wrong "$hashes did not load the library of $*"
    elif ! with_library "$hashes" >"$result" 2>&1 || ! diff "$results/here" "$result" >&2; then
        wrong "the ISAs or hashes of $*"
    else
        echo "$sum" >"$result.right"
        return 0
    fi
    return 1
}

# call compiler: checks that a program compiled with -ffast-math gets the same masks and values as one without.
call() {
    result=$results/call-$1
    tried=$((tried + 1))
    for flags in -O2 '-O2 -ffast-math'; do
        # shellcheck disable=SC2086 # flags are words
        if ! "$1" $flags -I"$source/include" -o "$work/caller" "$source/tests/fast_math.c" -L"$library" -lbitdrop -lm ||
            ! LD_LIBRARY_PATH=$library "$work/caller" >"$result$flags"; then
            wrong "$1 $flags tests/fast_math.c"
            return 1
        fi
    done
    grep -qx 'denormals are kept' "$result-O2" || wrong "$1 -O2 flushes denormals"
    grep -qx 'denormals are flushed' "$result-O2 -ffast-math" || wrong "$1 -ffast-math does not flush denormals"
    sed 1d "$result-O2" >"$work/usual"
    sed 1d "$result-O2 -ffast-math" | diff "$work/usual" - >&2 || wrong "$1 -ffast-math: other masks or values"
}

# refuse compiler: checks that it does not compile the library with -ffast-math.
refuse() {
    tried=$((tried + 1))
    "$1" -O2 -ffast-math -I"$source/include" -I"$source/src" -c -o "$work/fast.o" "$source/src/bitdrop.c" \
        2>"$work/refused" && wrong "$1 -ffast-math compiles the library"
    grep -q 'bitdrop: -ffast-math' "$work/refused" || wrong "$1 -ffast-math: the error does not say what to change"
}

"$hashes" >"$results/here"
[ "$(grep -c 'mask hash' "$results/here")" -gt 0 ]
for compiler in "$@"; do
    call "$compiler" || true
    refuse "$compiler"
done
printf '| compiler | flags | ISAs |\n|---|---|---|\n'
for flags in -O0 -O1 -O2 -O3 -Os '-O2 -march=native' '-O2 -flto'; do
    for compiler in "$@"; do
        name=$(echo "$compiler$flags" | tr -d ' ')
        use=$flags
        case $compiler$flags in # clang warns about the linker's option where it only compiles
            clang*-flto) use="$flags -fuse-ld=lld -Wno-unused-command-line-argument" ;;
            gcc*-flto) use="$flags -flto=2" ;;
        esac
        # shellcheck disable=SC2086 # flags are words
        if try "$name" "$compiler" $use; then
            printf '| %s | %s | %s |\n' "$compiler" "$flags" "$(sed -n 's/: mask.*//p' "$result" | paste -s -d ' ')"
        fi
    done
done
[ "$bad" -eq 0 ] || exit 1
printf '\n%d builds and callers, all right\n' "$tried"
