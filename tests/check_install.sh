#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_install.sh source-dir build-dir prefix libdir
# The installed library as its users meet it: by pkg-config from C and C++, static, and as a meson
# subproject, in which tests, benchmarks and examples are off.
set -eu

source=$(realpath "$1")
build=$(realpath "$2")
libdir=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
prefix=$dir/root$3

DESTDIR=$dir/root meson install -C "$build" --no-rebuild --quiet
export PKG_CONFIG_PATH="$prefix/$libdir/pkgconfig"
flags="$(pkg-config --define-variable=prefix="$prefix" --cflags --libs bitdrop)"

soname=$(objdump -p "$prefix/$libdir/libbitdrop.so" | awk '$1 == "SONAME" { print $2 }')
[ "$soname" = "libbitdrop.so.$(pkg-config --modversion bitdrop | cut -d. -f1)" ]

# shellcheck disable=SC2086 # flags are words
${CC:-cc} -std=c99 "$source/examples/quickstart.c" -o "$dir/dynamic" $flags
# shellcheck disable=SC2086
${CC:-cc} -std=c99 "$source/examples/quickstart.c" -o "$dir/static" $flags -static
printf '#include <bitdrop/bitdrop.h>\nint main() { return bitdrop_isa_default() == BITDROP_ISA_AUTO; }\n' >"$dir/use.cc"
# shellcheck disable=SC2086
${CXX:-c++} -std=c++17 -Wall -Wextra -Werror "$dir/use.cc" -o "$dir/cxx" $flags
export LD_LIBRARY_PATH="$prefix/$libdir"
"$dir/dynamic" >"$dir/out"
"$dir/static" | cmp - "$dir/out"
"$dir/cxx"
"$prefix/bin/bitdrop-selftest" --quick scalar >/dev/null

mkdir -p "$dir/consumer/subprojects"
ln -s "$source" "$dir/consumer/subprojects/bitdrop"
cp "$source/examples/quickstart.c" "$dir/consumer"
cat >"$dir/consumer/meson.build" <<'MESON'
project('consumer', 'c', default_options: ['c_std=c99'])
executable('quickstart', 'quickstart.c', dependencies: dependency('bitdrop', fallback: 'bitdrop'))
MESON
unset PKG_CONFIG_PATH
meson setup "$dir/consumer/build" "$dir/consumer" --wrap-mode=forcefallback >/dev/null
meson compile -C "$dir/consumer/build" >/dev/null
"$dir/consumer/build/quickstart" | cmp - "$dir/out"
if meson introspect --targets "$dir/consumer/build" | grep -q selftest; then
    echo 'the subproject builds its tests'
    exit 1
fi
