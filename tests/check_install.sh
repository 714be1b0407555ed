#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_install.sh prefix libdir version
# In the installed tree, names and versions must agree, and the selftest must run. check_consumer.sh tests programs that
# use the installed library.
set -eu

prefix=$1
lib=$prefix/$2
version=$3

soname=$(objdump -p "$lib/libbitdrop.so" | awk '$1 == "SONAME" { print $2 }')
case $version in # the minor version is part of the name while the major one is 0
    0.*) [ "$soname" = "libbitdrop.so.${version%.*}" ] ;;
    *) [ "$soname" = "libbitdrop.so.${version%%.*}" ] ;;
esac
[ "$(PKG_CONFIG_LIBDIR="$lib/pkgconfig" pkg-config --modversion bitdrop)" = "$version" ]
grep -qx "set(PACKAGE_VERSION $version)" "$lib/cmake/bitdrop/bitdrop-config-version.cmake"
installed=$(sed -n 's/^#define BITDROP_VERSION_[A-Z]* \([0-9]*\)$/\1/p' "$prefix/include/bitdrop/bitdrop.h" | paste -sd.)
[ "$installed" = "$version" ]
if [ -f "$prefix/bin/bitdrop-selftest" ]; then # CMake does not install it
    LD_LIBRARY_PATH=$lib "$prefix/bin/bitdrop-selftest" --quick scalar >/dev/null
fi
