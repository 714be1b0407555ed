#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: cross/sysroot.sh triple directory
# Unpacks packages of Debian to a sysroot for clang in `directory`, without installing them, and writes
# directory/sysroot.ini, from which meson's cross files know where the sysroot is.
set -eu

case ${1:-} in
    aarch64-linux-gnu) arch=arm64 ;;
    arm-linux-gnueabihf) arch=armhf ;;
    s390x-linux-gnu) arch=s390x ;;
    riscv64-linux-gnu) arch=riscv64 ;;
    *)
        echo "usage: cross/sysroot.sh aarch64-linux-gnu|arm-linux-gnueabihf|s390x-linux-gnu|riscv64-linux-gnu directory" >&2
        exit 2
        ;;
esac
triple=$1
dir=${2:?directory}

for tool in apt-get dpkg-deb; do
    command -v $tool >/dev/null || { echo "cross/sysroot.sh needs $tool, as on Debian and derivatives" >&2; exit 1; }
done
gcc=$(apt-cache depends "gcc-$triple" | sed -n 's/.*Depends: gcc-\([0-9]*\)-.*/\1/p' | head -n 1)
[ -n "$gcc" ] || { echo "apt does not know gcc-$triple: run apt-get update" >&2; exit 1; }

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
(cd "$packages" && apt-get download -qq -o APT::Sandbox::User=root "libc6-$arch-cross" "libc6-dev-$arch-cross" "linux-libc-dev-$arch-cross" \
    "libgcc-s1-$arch-cross" "libgcc-$gcc-dev-$arch-cross")
for package in "$packages"/*.deb; do
    dpkg-deb -x "$package" "$dir"
done
ln -sfn "$triple/include" "$dir/usr/include" # clang looks there
printf "[constants]\nsysroot = '%s'\n" "$dir" >"$dir/sysroot.ini"
