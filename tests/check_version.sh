#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_version.sh source-root version
# include/bitdrop/bitdrop.h defines the version, and the builds read it there. Other files must have the same version.
set -eu

cd "$1"
version=$2
case $version in 0.*) compatible=${version%.*} ;; *) compatible=${version%%.*} ;; esac # as in the SONAME
bad=0

# expect wanted file expression: sed must print at least one line of the file, and each line must be `wanted`.
expect() {
    found=$(sed -n "$3" "$2" 2>&1 | sort -u)
    [ "$found" != "$1" ] || return 0
    printf '%s has %s, but by bitdrop.h it must be %s\n' "$2" "${found:-no version}" "$1"
    bad=1
}

expect "$version" CHANGELOG.md '/^## /{s/## \([0-9.]*\).*/\1/p;q;}'
expect "$version" docs/reference.md '1s/.*version //p'
expect "$version" debian/changelog '1s/.*(\(.*\)-[^-]*).*/\1/p'
expect "${version%.*}" python/bitdrop/_library.py 's/^VERSION = (\([0-9]*\), \([0-9]*\)).*/\1.\2/p'
expect "$compatible" debian/control 's/^Package: libbitdrop\([0-9].*\)/\1/p'
expect "$compatible" debian/control 's/.*libbitdrop\([0-9][0-9.]*\) (=.*/\1/p'
expect "$compatible" README.md 's/^find_package(bitdrop \([0-9.]*\) .*/\1/p'
# The SONAME.
for file in bench/builds.sh debian/tests/python docs/abi.md docs/reference.md tests/libbitdrop.abi; do
    expect "$compatible" "$file" 's/.*libbitdrop\.so\.\([0-9][0-9.]*[0-9]\).*/\1/p'
done
expect "$compatible" "debian/libbitdrop$compatible.symbols" '1s/^libbitdrop\.so\.\([0-9.]*\) .*/\1/p'
[ $bad -eq 0 ] || echo 'RELEASING.md says how to change the version.'
exit $bad
