#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ./dev test: builds, tests, and the counts of what passed. dev reads this file, which uses its functions.
# shellcheck disable=SC2034,SC2086,SC2154 # lists are words, dev sets them, and uses what is set here

passed=0 failed=0 skipped=0 failures=

# build_one name option...: builds one configuration; a failure is counted.
build_one() {
    say "$1"
    if ! build "$@"; then
        failed=$((failed + 1))
        failures="$failures $1(build)"
        return 1
    fi
}

# Suites that find nothing new in further builds. Where a build has other tests of each ISA, the selftest repeats them.
repeated='--no-suite consumers --no-suite study --no-suite selftest'
left_out=
debug='-Doptimization=1 -Ddebug=true -Dc_args=-g1' # lines for reports; all of -g compiles for twice as long

# build_and_test name option...: builds and tests one configuration, and leaves the output for count_tests.
build_and_test() {
    say "$1"
    rm -f "build/$1/test-output"
    build "$@" || return 0
    meson test -C "build/$1" --print-errorlogs --no-rebuild $left_out | tee "build/$1/test-output" || true
}

# count_tests name: adds what build_and_test left to the counts.
count_tests() {
    if [ ! -f "build/$1/test-output" ]; then
        failed=$((failed + 1))
        failures="$failures $1(build)"
        return
    fi
    counts=$(awk '/^(Ok|Expected Fail):/ { ok += $NF } /^Skipped:/ { skipped = $2 }
        /^(Fail|Unexpected Pass|Timeout|Error):/ { failed += $NF }
        END { print ok + 0, failed + 0, skipped + 0; exit ok == "" }' "build/$1/test-output") ||
        counts='0 1 0'
    set -- "$1" $counts
    passed=$((passed + $2))
    failed=$((failed + $3))
    skipped=$((skipped + $4))
    [ "$3" -eq 0 ] || failures="$failures $1"
}

# test_build name option...: builds and tests one configuration, and adds to the counts.
test_build() {
    build_and_test "$@"
    count_tests "$1"
}

# meson_test name argument...: those tests of a build that is set up, which compiles what they need; adds to the counts.
meson_test() {
    name=$1
    shift
    meson test -C "build/$name" --print-errorlogs "$@" | tee "build/$name/test-output" || true
    count_tests "$name"
}

# test_suite name suite: compiles and runs a suite that the build leaves out otherwise, and adds to the counts.
test_suite() {
    say "$1: $2"
    meson_test "$1" --suite "$2"
}

# set_up_clang_19 name option...: sets up a build by clang 19. Then meson_test compiles what its tests need.
set_up_clang_19() {
    say "$1"
    CC=clang-19 CXX=clang++-19 configure "$@" -Dtests=enabled -Dexamples=disabled -Dbench=disabled --werror || true
}

# test_uninitialized test...: runs tests under MemorySanitizer; compiles what they need, and adds to the counts.
# Criterion aborts under it, so the selftest makes the checks. SLEEF is not instrumented.
test_uninitialized() {
    set_up_clang_19 clang-19-memory -Dsleef=disabled $debug -Db_sanitize=memory -Db_lundef=false
    meson_test clang-19-memory "$@"
}

# pytest_in venv path...: runs tests of the Python package, and adds to the counts.
pytest_in() {
    venv=$1
    shift
    say "pytest $*"
    "$venv/bin/python" -m pytest -q "$@" 2>&1 | tee "$venv/test-output" || true
    counts=$(tail -n 1 "$venv/test-output" | awk '{
        for (i = 2; i <= NF; i++) {
            if ($i ~ /^passed/) passed = $(i - 1)
            if ($i ~ /^(failed|errors?)/) failed += $(i - 1)
            if ($i ~ /^skipped/) skipped = $(i - 1)
        }
        print passed + 0, passed ? failed + 0 : failed + 1, skipped + 0 }')
    set -- $counts
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
    [ "$2" -eq 0 ] || failures="$failures pytest"
}

summary() {
    [ -z "$failures" ] || printf '\nfailed in:%s\n' "$failures"
    printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ]
}

run_tests() {
    install_packages $packages_test
    on='-Dtests=enabled -Dexamples=enabled -Dbench=disabled --werror'
    BITDROP_TEST_THIN=2 CC=gcc CXX=g++ test_build gcc $on -Dbench=enabled
    left_out=$repeated
    BITDROP_TEST_THIN=8 CC=gcc CXX=g++ test_build gcc-O2 $on -Doptimization=2 # the kernels are those of gcc
    test_suite gcc-O2 amalgamation
    BITDROP_TEST_THIN=16 CC=gcc CXX=g++ test_build gcc-O0 $on -Doptimization=0
    BITDROP_TEST_THIN=4 CC=clang CXX=clang++ test_build clang-O2 $on -Doptimization=2
    test_suite clang-O2 amalgamation
    CC=clang CXX=clang++ build_one clang-O0 $on -Dbench=enabled -Doptimization=0 || true # gcc-O0 runs the tests
    if grep -qw avx512vl /proc/cpuinfo; then # clang 19's vectorizer broke scalar kernels: src/scalar/vec.h
        set_up_clang_19 clang-19-v4 -Doptimization=2 -Dc_args=-march=x86-64-v4
        BITDROP_TEST_THIN=4 meson_test clang-19-v4 scalar
    fi
    BITDROP_TEST_THIN=16 CC=gcc CXX=g++ test_build gcc-sanitize $on $debug -Db_sanitize=address,undefined
    test_suite gcc-sanitize fuzz
    CC=gcc CXX=g++ test_build gcc-thread -Dtests=enabled -Dexamples=disabled -Dbench=disabled --werror $debug \
        -Db_sanitize=thread # the selftest, which is left out, has one thread
    test_uninitialized race callbacks 'selftest scalar' 'selftest avx*'
    test_suite clang-19-memory fuzz
    left_out=
    cross_target s390x # one object and one test, which leave a CPU idle
    build_and_test "$name" $options >build/s390x.log 2>&1 &
    s390x=$!
    for target in aarch64 armv7; do
        cross_target $target
        test_build "$name" $options
    done
    test_suite aarch64 amalgamation
    test_suite aarch64 fuzz
    wait "$s390x" || true
    cat build/s390x.log
    count_tests s390x
    python_venv build/python-venv ml_dtypes hypothesis
    pytest_in build/python-venv $numpy_tests
    summary
}

test_engines() {
    engines_venv jax onnx onnxscript
    pytest_in build/engines-venv python/tests/test_torch*.py python/tests/test_jax*.py \
        python/tests/test_examples.py
    summary
}
