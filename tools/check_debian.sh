#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ./dev check debian: builds the Debian packages in a new Debian 12, and tests them in another. Needs root for chroot.
# All files are in build/debian, the packages in build/debian/packages.
set -eu
cd "$(dirname "$0")/.."

[ "$(id -u)" -eq 0 ] || { echo 'chroot needs root: run ./dev check debian as root' >&2; exit 1; }
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
work=$PWD/build/debian
version=$(dpkg-parsechangelog -S Version)
upstream=${version%-*}
header=$(sed -n 's/^#define BITDROP_VERSION_[A-Z]* \([0-9]*\)$/\1/p' include/bitdrop/bitdrop.h | paste -sd.)
[ "$upstream" = "$header" ] || { echo "debian/changelog has version $upstream, the header $header" >&2; exit 1; }

say() { printf '\n== %s\n' "$*"; }

# inside chroot command...: runs it as root, and with the network, which apt needs.
inside() {
    chroot=$work/$1
    shift
    # shellcheck disable=SC2016 # the inner shell expands these
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive HOME=/root LC_ALL=C.UTF-8 \
        unshare --mount sh -euc '
            mount -t proc proc "$0/proc"
            mount -t tmpfs shm "$0/dev/shm" # for Criterion
            exec chroot "$0" "$@"' "$chroot" "$@"
}

# build options command...: runs it in the folder of the sources, as nobody and without the network.
build() {
    options=$1
    shift
    # shellcheck disable=SC2016 # the inner shell expands these
    inside build unshare --net setpriv --reuid=nobody --regid=nogroup --clear-groups \
        env HOME=/nonexistent DEB_BUILD_OPTIONS="$options" sh -euc 'cd "$0"; exec "$@"' "/build/bitdrop-$upstream" "$@"
}

# new_chroot name: copies the new Debian. resolv.conf gives the copy the network.
new_chroot() {
    rm -rf "${work:?}/$1"
    cp -a --reflink=auto "$work/base" "$work/$1"
    echo force-unsafe-io >"$work/$1/etc/dpkg/dpkg.cfg.d/unsafe-io" # faster, and the copy is thrown away
    cp -L /etc/resolv.conf "$work/$1/etc/resolv.conf"
}

mkdir -p "$work"
if [ ! -f "$work/base/debootstrap-is-done" ]; then
    say "debootstrap bookworm $mirror"
    rm -rf "$work/base"
    debootstrap --variant=buildd bookworm "$work/base" "$mirror"
    rm -f "$work"/base/var/cache/apt/archives/*.deb
    touch "$work/base/debootstrap-is-done"
fi

say 'the sources, and the packages that a build without tests needs'
new_chroot build
mkdir -p "$work/build/build/bitdrop-$upstream"
git ls-files --cached --others --exclude-standard ':!debian' | tar -c -T - --transform "s,^,bitdrop-$upstream/," -J \
    -f "$work/build/build/bitdrop_$upstream.orig.tar.xz"
git ls-files --cached --others --exclude-standard | tar -c -T - | tar -x -C "$work/build/build/bitdrop-$upstream"
chown -R nobody:nogroup "$work/build/build"
inside build apt-get update -qq
inside build apt-get build-dep -qq -y --no-install-recommends -P nocheck "/build/bitdrop-$upstream"

say 'a build without tests'
build 'nocheck terse' dpkg-buildpackage -us -uc -b -Pnocheck

say 'a build with tests, in the same folder'
inside build apt-get build-dep -qq -y --no-install-recommends "/build/bitdrop-$upstream"
build terse dpkg-buildpackage -us -uc

say 'lintian' # a first upload to Debian closes a bug that asks for the package; there is none
inside build apt-get install -qq -y --no-install-recommends lintian
build '' sh -c 'exec lintian -i --pedantic --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs \
    ../*.changes'

say 'the tests of the packages, where nothing else is installed'
rm -rf "$work/packages"
mkdir "$work/packages"
find "$work/build/build" -maxdepth 1 -type f -exec cp {} "$work/packages" \;
new_chroot test
inside test apt-get update -qq
# shellcheck disable=SC2016 # the inner shell expands these
unshare --mount sh -euc 'mount -t proc proc "$0/test/proc"
    exec autopkgtest --no-built-binaries "$0"/packages/*.deb "$0"/packages/*.dsc -- chroot "$0/test"' "$work"

say "all right: $work/packages"
ls -l "$work/packages"
