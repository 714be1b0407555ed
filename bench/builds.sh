#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: bench/builds.sh bitdrop-bench [turns]
# Checks that kernels are as fast in other builds as in the release build that bitdrop-bench belongs to. The library of
# each build and that of the release build take turns in the same program. Prints the median ratio of times for each
# build, with a star if it is above 1.03, and exits with 1 if one is. Use more turns on a CPU that others use too.
set -eu

bench=$1
turns=${2:-15}
cd "$(dirname "$0")/.."
root=build/builds
mkdir -p $root
cases='^(mask|forward|backward)/flat/[^/]*/(f32|bf16)/p=0.1/rounds=10/auto/n=65536/out/threads=1$'

# by_meson BUILD COMPILER CFLAGS OPTION...: builds the library as distributions do.
by_meson() {
    name=$1 compiler=$2 cflags=$3
    shift 3
    [ -d $root/"$name" ] || CC=$compiler CFLAGS=$cflags meson setup $root/"$name" "$@" \
        -Dtests=disabled -Dexamples=disabled -Dbench=disabled -Ddefault_library=shared >/dev/null
    meson compile -C $root/"$name" >/dev/null
}

# by_hand BUILD SOURCES COMPILER FLAG...: builds the library as an engine does that compiles its sources itself.
by_hand() {
    name=$1 sources=$2
    shift 2
    rm -rf "${root:?}/$name"
    mkdir -p $root/"$name"
    (
        cd $root/"$name"
        # shellcheck disable=SC2086 # patterns
        printf '%s\n' $sources | xargs -P "$(nproc)" -n 1 "$@" -fPIC -I../../../include -I../../../src -c
        "$1" -shared -Wl,-soname,libbitdrop.so.0.2 -o libbitdrop.so ./*.o -lm
    )
}

by_meson gcc-O1 gcc '' -Doptimization=1
by_meson gcc-O2 gcc '' -Doptimization=2
by_meson gcc-Os gcc '' -Doptimization=s
by_meson gcc-plain gcc -O2 --buildtype=plain
by_hand gcc-by-hand '../../../src/*.c ../../../src/*/*.c' gcc -O2
tools/amalgamate.py build/amalgamation
by_hand gcc-six-files '../../amalgamation/*.c' gcc -O2
builds='gcc-O1 gcc-O2 gcc-Os gcc-plain gcc-by-hand gcc-six-files'
if command -v clang >/dev/null; then
    by_meson clang-O2 clang '' -Doptimization=2
    builds="$builds clang-O2"
fi

# turn BUILD TURN: measures each case, and prints "isa operation dtype build turn nanoseconds" for it. BUILD `release` is
# the library that bitdrop-bench itself loads.
turn() {
    preload=
    [ "$1" = release ] || preload=$PWD/$root/$1/libbitdrop.so
    LD_PRELOAD=$preload "$bench" --filter="$cases" --seconds=0.002 --json=$root/turn.json >/dev/null 2>&1
    awk -v build="$1" -v turn="$2" -F '[:,]' '/"name"/ { split($2, part, /["\/]/); name = part[4] " " part[2] " " part[5] }
        /"real_time"/ { print name, build, turn, $2 + 0 }' $root/turn.json
}

# Before each turn of a build the release build has one, which it is compared with.
i=0
while [ $i -lt "$turns" ]; do
    for build in $builds; do
        turn release "$i-$build"
        turn "$build" "$i-$build"
    done
    i=$((i + 1))
done >$root/turns

sed -n 's/^model name[^:]*: */CPU: /p' /proc/cpuinfo | head -n 1
awk -v builds="$builds" '
    function median(text, n, i, j, x, swap) {
        n = split(text, x, " ")
        for (i = 2; i <= n; i++)
            for (j = i; j > 1 && x[j] + 0 < x[j - 1] + 0; j--) { swap = x[j]; x[j] = x[j - 1]; x[j - 1] = swap }
        return x[int((n + 1) / 2)]
    }
    { key = sprintf("%-7s %-9s %-5s", $1, $2, $3); place = key SUBSEP $5 }
    $4 == "release" {
        release[place] = $6
        if (!(key in all)) order[++count] = key
        all[key] = all[key] " " $6
        next
    }
    { ratios[key, $4] = ratios[key, $4] " " $6 / release[place] }
    END {
        n = split(builds, build, " ")
        printf "%-23s %10s", "times the release build", "ns/element"
        for (b = 1; b <= n; b++) printf " %13s", build[b]
        print ""
        for (c = 1; c <= count; c++) {
            printf "%-23s %10.4f", order[c], median(all[order[c]]) / 65536
            for (b = 1; b <= n; b++) {
                ratio = median(ratios[order[c], build[b]])
                slow += ratio > 1.03
                printf " %12.3f%s", ratio, (ratio > 1.03 ? "*" : " ")
            }
            print ""
        }
        print slow + 0, "above 1.03"
        exit slow > 0
    }' $root/turns
