#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The parts of ./dev check, which take long and are in no test. dev reads this file, which uses its functions.
# shellcheck disable=SC2086,SC2154 # lists are words, and dev sets them

# record line promise tried result: a line of the table in docs/trust.md, which ./dev check prints, with the commit. The
# line has the name of its part, or <part>-<more> where a part writes several lines.
record() {
    printf '| %s | %s | %s | %s |\n' "$2" "$3" "$4" "$(tree)" >"build/trust/table/$1"
}

# record_unfinished part: in the place of the lines that it left before, one that stands unless it ends well.
record_unfinished() {
    rm -f "build/trust/passed/$1" "build/trust/table/$1" "build/trust/table/$1"-*
    record "$1" "./dev check $1" '' 'FAILED, or was stopped'
}

# record_finished part: drops that line, if the part left others.
record_finished() {
    ! grep -qs 'FAILED, or was stopped' "build/trust/table/$1" || rm "build/trust/table/$1"
}

# tree: the commit that is checked out, with -dirty where files differ from it.
tree() { git describe --always --dirty --exclude '*' 2>/dev/null || echo 'no commit'; }

cpu_model() { sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1; }

# report name command...: what it prints, kept as build/trust/<name>.md too. Ends with the command if that fails.
report() {
    name=$1
    shift
    status=0
    "$@" >"build/trust/$name.md" || status=$?
    cat "build/trust/$name.md"
    [ "$status" -eq 0 ] || exit "$status"
}

# check_abi [--update]: docs/abi.md. Only the header and the names of functions matter, so that any optimisation does.
check_abi() {
    install_packages $packages_build abigail-tools
    build abi -Ddefault_library=shared -Ddebug=true -Doptimization=0 -Dtests=disabled -Dexamples=disabled \
        -Dbench=disabled
    case ${1:-} in
        '')
            say 'abidiff'
            abidiff --no-added-syms --no-architecture tests/libbitdrop.abi \
                build/abi/libbitdrop.so || { cat >&2 <<'TEXT'; exit 1; }

The ABI differs from tests/libbitdrop.abi, that of the last release. docs/abi.md says what may change.
- Was the change not meant? Undo it.
- Does a program that was compiled before still run, with the meaning that it had? ./dev check abi --update
- Else raise the version to one with another SONAME (BITDROP_VERSION_MINOR while the major version is 0, else
  BITDROP_VERSION_MAJOR), in debian/ too, and then ./dev check abi --update
TEXT
            record abi 'Programs run on with the next library' 'abidiff with the ABI of the last release' passed
            ;;
        --update)
            abidw --drop-private-types --headers-dir include/bitdrop --exported-interfaces-only --type-id-style hash \
                --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed --no-architecture \
                --out-file tests/libbitdrop.abi build/abi/libbitdrop.so
            ;;
        *) misused ;;
    esac
}

# fuzz_target target seconds: goes on with the corpus of earlier runs, and tries again what ever failed.
fuzz_target() {
    target=build/fuzz/clang-19/fuzz/$1
    corpus=build/fuzz/corpus/$1
    failed=build/fuzz/failed/$1
    mkdir -p "$corpus" "$failed"
    for input in "$failed"/*; do
        [ ! -f "$input" ] || "$target" "$input" 2>&1 || exit 1
    done
    say "$1: $2 seconds"
    { "$target" -fork="$(nproc)" -max_total_time="$2" -max_len=400 -len_control=0 -timeout=120 \
        -artifact_prefix="$failed/" "$corpus" 2>&1 || echo failed; } | tee "build/fuzz/$1.log"
    if tail -n 1 "build/fuzz/$1.log" | grep -qx failed; then
        echo "the inputs are in $failed: run $target with one of them" >&2
        exit 1
    fi
    inputs=$((inputs + $(sed -n 's/^#\([0-9]*\): .*/\1/p' "build/fuzz/$1.log" | tail -n 1)))
}

# check_fuzz [--minutes=N]. Without the comparisons in the coverage, three times as many inputs are tried.
check_fuzz() {
    minutes=40
    case ${1:-} in
        '') ;;
        --minutes=*) minutes=${1#*=} ;;
        *) misused ;;
    esac
    install_packages $packages_test
    CC=clang-19 CXX=clang++-19 configure fuzz/clang-19 -Dtests=enabled -Dexamples=disabled -Dbench=disabled --werror \
        -Ddefault_library=static -Doptimization=1 -Ddebug=true -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args='-g1 -fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp -fno-sanitize-recover=all'
    meson compile -C build/fuzz/clang-19 fuzz/operations fuzz/attention fuzz/masks
    inputs=0
    fuzz_target masks $((minutes * 6))
    fuzz_target attention $((minutes * 20))
    fuzz_target operations $((minutes * 34))
    record fuzz 'Wrong arguments and odd buffers do no harm' \
        'libFuzzer on every call with a buffer, under ASan and UBSan, all ISAs against one another' \
        "$inputs inputs, no report"
}

# check_memory: valgrind has no AVX-512.
check_memory() {
    install_packages $packages_test valgrind libc6-dbg
    say 'calls of more than 2^32 elements'
    configure memory -Dtests=enabled -Dexamples=disabled -Dbench=disabled
    meson_test memory --suite large
    summary
    if [ "$(uname -m)" = x86_64 ]; then
        say 'valgrind'
        meson compile -C build/memory bitdrop-selftest
        for isa in scalar avx2; do
            valgrind -q --error-exitcode=1 build/memory/programs/bitdrop-selftest --quick --no-table $isa
        done
        record memory-valgrind 'Nothing beside the buffers is touched, nor read before it is written' \
            'a tenth of all checks under valgrind, scalar and AVX2' 'no error'
    fi
    record memory 'Any size is right' 'calls of 2^32 + 4,100 elements on each ISA, through the carries of the counters' \
        "$passed ISAs right, $skipped skipped"
}

# check_randomness [--short]: results belong to a commit, a CPU and a build.
check_randomness() {
    install_packages $packages_build
    configure check -Dtests=auto -Dexamples=disabled -Dbench=disabled
    meson compile -C build/check randomness
    sum=$(cat build/check/libbitdrop.so build/check/tests/randomness | cksum)
    case ${1:-} in
        '')
            build/check/tests/randomness --results=build/trust/randomness.txt --label="$(tree), $(cpu_model), $sum" |
                tee build/trust/randomness.md
            tail -n 1 build/trust/randomness.md | grep -qx passed
            record randomness 'Bits look like independent coin tosses' 'statistical tests, and planted faults' \
                "$(sed -n 's/ p-values;.*//p' build/trust/randomness.md) p-values, $(grep -c '| caught |$' \
                    build/trust/randomness.md) faults caught"
            ;;
        --short) build/check/tests/randomness --short ;;
        *) misused ;;
    esac
}

# check_coverage: which lines and branches of src/ the suites reach. At -O0, where each line is its own code. Tests that
# tell nothing of the library's lines are left out.
check_coverage() {
    install_packages $packages_test python3 python3-venv
    install_into build/coverage-venv gcovr==8.3 # that of Debian 12 wants each function in one place
    CC=gcc CXX=g++ configure coverage -Dtests=enabled -Dexamples=disabled -Dbench=disabled -Db_coverage=true \
        -Doptimization=0 -Dc_args=-fprofile-update=atomic
    find build/coverage -name '*.gcda' -delete
    BITDROP_TEST_SEED=1 BITDROP_TEST_THIN=8 meson test -C build/coverage --print-errorlogs \
        scalar avx2 avx512 neon dispatch race callbacks streaming 'without fma'
    meson compile -C build/coverage long_run
    build/coverage/tests/long_run --short --first=1
    build/coverage-venv/bin/gcovr --root . --filter src/ --merge-mode-functions=separate \
        --json build/trust/coverage.json build/coverage
    report coverage tools/coverage.py build/trust/coverage.json
    record coverage 'Tests reach each line of src/ that this CPU can run' 'gcovr, on the suites of all ISAs' \
        "$(tail -n 1 build/trust/coverage.md)"
}

# build_in folder commit: the library, the six files, the wheel and the sdist of that commit.
build_in() {
    rm -rf "$1"
    git clone -q . "$1"
    git -C "$1" checkout -q --detach "$2"
    (
        builder=$PWD/build/wheel-venv/bin/python
        cd "$1" || exit
        meson setup build -Dtests=disabled -Dexamples=disabled -Dbench=disabled
        meson compile -C build
        tools/amalgamate.py build/amalgamation
        "$builder" -m build -o build/wheel .
    )
}

check_reproducible() {
    install_packages $packages_build git python3 python3-venv
    need_git
    install_into build/wheel-venv build
    folder=$PWD/build/reproducible
    commit=$(git rev-parse HEAD)
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
    export SOURCE_DATE_EPOCH
    say 'a build, and the same in another folder and time zone'
    build_in "$folder/one" "$commit"
    TZ=Asia/Kolkata build_in "$folder/another/further/down" "$commit"
    count=0
    for file in "$folder"/one/build/libbitdrop.so.*.*.[0-9] "$folder"/one/build/libbitdrop.a \
        "$folder"/one/build/amalgamation/* "$folder"/one/build/wheel/*; do
        cmp "$file" "$folder/another/further/down/${file#"$folder/one/"}" || { cat >&2 <<'TEXT'; exit 1; }

Two builds of one commit differ. Something of the machine went into the file, most likely a path or a date.
- Look for it: strings -a FILE | grep reproducible, or diffoscope with both files.
- Take it out where it comes from: no __FILE__, __DATE__ or absolute path in src/. If a compiler adds a path,
  -ffile-prefix-map in meson.build. Tools that write dates read SOURCE_DATE_EPOCH.
TEXT
        count=$((count + 1))
    done
    record reproducible 'Who builds it again gets the same bytes' \
        'library, archive, six files, wheel and sdist, built in two folders' "$count files are the same"
}

# check_long_run [--minutes=N | --short]: N is 40 unless it is given.
check_long_run() {
    install_packages $packages_build
    configure check -Dtests=auto -Dexamples=disabled -Dbench=disabled
    meson compile -C build/check long_run
    build/check/tests/long_run "$@" | tee build/trust/long-run.txt
    tail -n 1 build/trust/long-run.txt | grep -q 'none deviated$'
    [ "${1:-}" = --short ] ||
        record long-run 'Calls from many threads stay right' 'mixed calls of all operations, on all ISAs, by tasks or not' \
            "$(tail -n 1 build/trust/long-run.txt)"
}

# check_mutants [option...]: those of tools/mutants.py, which keeps its results in build/mutants.
check_mutants() {
    install_packages $packages_test
    say 'mutants: each one and its end in build/trust/mutants.txt'
    status=0
    python3 tools/mutants.py "$@" >build/trust/mutants.txt || status=$?
    grep -v '^killed' build/trust/mutants.txt || true
    [ "$status" -eq 0 ] || exit "$status"
    record mutants 'Tests notice a fault' 'faults planted in each part of the sources, one at a time' \
        "$(tail -n 1 build/trust/mutants.txt)"
}

# check_python: what ./dev test does with few examples. Those that failed are kept in build/trust and tried first.
check_python() {
    python_venv build/python-venv ml_dtypes hypothesis
    say 'pytest --hypothesis-profile=long'
    build/python-venv/bin/python -m pytest -q --hypothesis-profile=long --hypothesis-show-statistics \
        python/tests/test_properties.py | tee build/trust/python.txt
    tail -n 1 build/trust/python.txt | grep -q '^[0-9]* passed'
    record python 'Any arguments from Python give the right result or an error' 'calls with drawn arguments' \
        "$(awk '/ passing/ { n += $2 } END { print n }' build/trust/python.txt) calls right or refused"
}

# wheel_venv name wheel package...: a new virtual environment with the wheel and, as in distributions, without RECORD.
wheel_venv() {
    venv=build/wheel/$1
    shift
    install_into "$venv" "$@"
    rm "$venv"/lib/python3*/site-packages/bitdrop-*.dist-info/RECORD
}

# without_compiler venv argument...: its Python, with nothing else on PATH.
without_compiler() {
    venv=$PWD/$1
    shift
    env -i PATH="$venv/bin" HOME="$HOME" "$venv/bin/python" "$@"
}

check_wheel() {
    wheel
    say 'the tests of the wheel, without a compiler'
    wheel_venv inside build/wheel/*.whl pytest ml_dtypes
    # shellcheck disable=SC2016 # a program of Python
    without_compiler build/wheel/inside -c 'import bitdrop, re
maps = open("/proc/self/maps").read()
found = sorted(set(re.findall(r"/\S*(?:sleef|bitdrop)\S*[.]so\S*", maps)))
print(bitdrop.version(), "math by", bitdrop.math(), *found, sep="\n")
assert bitdrop.math().startswith("sleef"), "build it where SLEEF is"
assert all("/build/wheel/inside/" in path for path in found), "a library from outside of the wheel"'
    without_compiler build/wheel/inside -m pytest -q $numpy_tests

    say 'a wheel for an installed libbitdrop'
    prefix=$PWD/build/wheel/prefix
    build wheel-system -Dtests=disabled -Dexamples=disabled -Dbench=disabled -Dprefix="$prefix" -Dlibdir=lib
    meson install -C build/wheel-system --quiet
    PKG_CONFIG_PATH="$prefix/lib/pkgconfig" build/wheel-venv/bin/python -m build -w -o build/wheel/system \
        -Csetup-args=-Dpython_system_library=true .
    wheel_venv outside build/wheel/system/*.whl
    ! build/wheel/outside/bin/python -c 'import bitdrop' 2>/dev/null || { echo 'it has a library of its own'; exit 1; }
    LD_LIBRARY_PATH="$prefix/lib" build/wheel/outside/bin/python -c 'import bitdrop, numpy
import bitdrop._library
assert bitdrop._library.Parallel.in_dll(bitdrop._library.library, "bitdrop_openmp").run
x = numpy.ones(1000, "f4")
y, mask = bitdrop.forward(x, .5, seed=42)
assert numpy.array_equal(bitdrop.recompute(x, .5, seed=42), y)
print("bitdrop", bitdrop.version(), "as it is installed")'
    record wheel 'The wheel runs where there is no compiler' 'the tests of the NumPy part in an empty environment' passed
}

check_parts='abi coverage python randomness memory wheel reproducible debian cpus compilers mutants fuzz long-run'

# check_compilers: the library by each of them. hashes belongs to a build by gcc.
check_compilers() {
    compilers='gcc-11 gcc-12 clang-14 clang-16 clang-19'
    install_packages $packages_build $compilers lld-14 lld-16 lld-19
    configure compilers -Doptimization=2 -Dexamples=disabled -Dbench=disabled
    meson compile -C build/compilers hashes
    set -- build/compilers/libbitdrop.so.?*.? # as in libbitdrop.so.0.2
    report compilers tools/check_compilers.sh build/compilers/tests/hashes "${1##*/}" build/trust/compilers $compilers
    record compilers 'Compilers and their flags change no bit' "$compilers, -O0 to -Os, LTO, a -ffast-math caller" \
        "$(tail -n 1 build/trust/compilers.md)"
}

# check_cpus: what every CPU that qemu plays chooses and computes. For x86-64 there is a build with musl too.
check_cpus() {
    install_packages $packages_build qemu-user musl-tools
    on='-Dstatic_selftest=true -Ddefault_library=static -Dexamples=disabled -Dbench=disabled --werror'
    configure cpus-x86_64 $on
    CC=musl-gcc configure cpus-musl $on
    names='cpus-x86_64 cpus-musl'
    for target in i686 aarch64 armv7 ppc64le ppc64 mips riscv64 s390x; do
        cross_target $target
        configure "$name" $options
        names="$names $name"
    done
    for name in $names; do
        say "$name"
        meson compile -C "build/$name" hashes
        case $name in
            aarch64 | armv7 | s390x) ;; # ./dev test runs the selftest
            *) meson compile -C "build/$name" bitdrop-selftest ;;
        esac
    done
    report cpus tools/check_cpus.sh build
    record cpus 'A CPU runs what it has, with the same results' 'the CPUs that qemu plays: the ISA, hashes, all checks' \
        "$(tail -n 1 build/trust/cpus.md)"
}

check_debian() {
    install_packages debootstrap autopkgtest dpkg-dev git
    tools/check_debian.sh
    record debian 'The Debian packages build and work' 'a new Debian 12: build, lintian, autopkgtest' passed
}

# check_all: every part, the shortest first, and the table. A part that passed for this commit is not run again. Ctrl-C
# stops all, because some programs that it stops end as if they had failed.
check_all() {
    trap 'echo "./dev check: stopped" >&2; exit 130' INT
    of=$(tree)
    bad=
    for part in $check_parts; do
        case $of in *-dirty | 'no commit') ;; "$(cat "build/trust/passed/$part" 2>/dev/null)") continue ;; esac
        say "./dev check $part"
        if BITDROP_DEV_HAS_LOCK=1 ./dev check "$part"; then
            echo "$of" >"build/trust/passed/$part"
        else
            bad="$bad $part"
        fi
    done
    say "the table: $(cpu_model), $(date +%F)"
    printf '| %s | %s | %s | %s |\n' promise 'what was tried' result commit --- --- --- ---
    cat build/trust/table/*
    [ -z "$bad" ] || { echo "failed:$bad" >&2; exit 1; }
}

# check [part [option]]
check() {
    part=${1:-}
    [ -n "$part" ] || { check_all; return; }
    shift
    case " $check_parts :${1:-}" in
        *" $part "*:--short | *" $part "*:--update) recorded= ;;
        *" $part "*) recorded=$part ;;
        *) misused ;;
    esac
    mkdir -p build/trust/table build/trust/passed
    [ -z "$recorded" ] || record_unfinished "$recorded"
    "check_$(echo "$part" | tr - _)" "$@"
    [ -z "$recorded" ] || record_finished "$recorded"
}
