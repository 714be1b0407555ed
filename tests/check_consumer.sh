#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: CC=cc CXX=c++ check_consumer.sh consumer source-dir prefix libdir
# Builds and runs a copy of examples/consumers/<consumer> against the library installed under prefix, which was moved
# there: it is not the prefix that the library was configured with.
set -eu

consumer=$1
source=$(realpath "$2")
prefix=$(realpath "$3")
lib=$prefix/$4

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { echo "$tool is missing"; exit 77; }
    done
}

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp -r "$source/examples/consumers" "$dir"
cd "$dir/consumers/$consumer"

export PKG_CONFIG_LIBDIR="$lib/pkgconfig" CMAKE_GENERATOR=Ninja
pkg_config_options=
run_make() {
    need make pkg-config
    make -s -B "$@" CC="$CC -Werror" CXX="${CXX:-} -Werror" PKG_CONFIG="pkg-config $pkg_config_options --define-variable=prefix=$prefix"
}
run_cmake() {
    need cmake ninja
    cmake -S . -B build -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release
    cmake --build build
}

# links_to program library: is it loaded at run time?
links_to() { objdump -p "$1" | grep -q "NEEDED *$2"; }

case $consumer in
    make | cxx17)
        [ "$consumer" = make ] || [ -n "${CXX:-}" ] || { echo 'no C++ compiler'; exit 77; }
        run_make
        links_to app libbitdrop
        LD_LIBRARY_PATH=$lib ./app
        ;;
    cmake)
        run_cmake
        links_to build/app libbitdrop
        build/app
        for other in 0.1 99; do # while the major version is 0, each minor version may have other structures
            sed -i "s/find_package(bitdrop [0-9.]*/find_package(bitdrop $other/" CMakeLists.txt
            if run_cmake >log 2>&1; then
                echo "CMake took this version for version $other"
                exit 1
            fi
            grep -q 'compatible with requested version' log
        done
        ;;
    static)
        run_cmake
        build/app
        cd ../make
        pkg_config_options=--static
        if pkg-config --static --libs bitdrop | grep -q sleef && [ ! -f "$($CC -print-file-name=libsleef.a)" ]; then
            mkdir archive # without an archive of SLEEF not all can be static: only bitdrop is
            cp "$lib/libbitdrop.a" archive
            pkg_config_options="--static --define-variable=libdir=$PWD/archive"
            run_make
        else
            run_make LDFLAGS=-static
        fi
        ./app
        for app in ../static/build/app app; do
            ! links_to "$app" libbitdrop || { echo "$app is not static"; exit 1; }
        done
        ;;
    meson-subproject)
        need meson ninja
        mkdir subprojects
        ln -s "$source" subprojects/bitdrop
        # Not optimised: what is tested is the build, and the kernels take their time.
        meson setup build --wrap-mode=forcefallback -Dbitdrop:buildtype=debug
        meson compile -C build
        build/app
        if meson introspect --targets build | grep -q selftest; then
            echo 'the subproject builds its tests'
            exit 1
        fi
        ;;
    dlopen)
        run_make
        ! links_to app libbitdrop || { echo 'app is linked with libbitdrop'; exit 1; }
        LD_LIBRARY_PATH=$lib ./app | grep right
        ./app "$lib/libbitdrop.so" | grep right
        ./app ./libbitdrop.so 2>&1 | grep 'no bitdrop.*libbitdrop.so: cannot open'
        ;;
esac
