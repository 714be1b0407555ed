#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: CC=cc CXX=c++ MESON=meson check_consumer.sh consumer source-dir prefix libdir
# Builds and runs a copy of examples/consumers/<consumer> with the library that is installed under prefix. That is not
# the prefix that the library was configured with: the installation was moved. Some consumers build the library from its
# source instead, without optimisation, because only the build is tested and optimising the kernels takes long.
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
need_cxx() { [ -n "${CXX:-}" ] || { echo 'no C++ compiler'; exit 77; }; }
run_make() {
    need make pkg-config
    make -s -B "$@" CC="$CC -Werror" CXX="${CXX:-} -Werror" PKG_CONFIG="pkg-config $pkg_config_options"
}
run_cmake() {
    need cmake ninja
    cmake -S . -B build -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release "$@"
    cmake --build build -j 4
}

# links_to program library: whether the program loads the library at run time.
links_to() { objdump -p "$1" | grep -q "NEEDED *$2"; }

case $consumer in
    make | cxx17)
        [ "$consumer" = make ] || need_cxx
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
                echo "CMake accepts this version as version $other"
                exit 1
            fi
            grep -q 'compatible with requested version' log
        done
        ;;
    cmake-subdirectory) # static, with make, and with LTO, which must not apply to the kernels
        need_cxx
        export CMAKE_GENERATOR='Unix Makefiles'
        mkdir third_party
        ln -s "$source" third_party/bitdrop
        run_cmake -DCMAKE_BUILD_TYPE=Debug -DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON
        ! links_to build/app libbitdrop || { echo 'app is not static'; exit 1; }
        build/app
        objdump -h build/third_party/bitdrop/libbitdrop.a >sections
        if grep lto sections; then exit 1; fi
        ;;
    cmake-fetchcontent) # shared, with Ninja. CMake must install the same files as meson, and consumers must find them.
        run_cmake -DCMAKE_BUILD_TYPE=Debug -DFETCHCONTENT_SOURCE_DIR_BITDROP="$source" \
            -DBUILD_SHARED_LIBS=ON -DBITDROP_INSTALL=ON -DCMAKE_INSTALL_LIBDIR="$4"
        links_to build/app libbitdrop
        build/app
        cmake --install build --prefix "$dir/root" >log
        (cd "$prefix" && find . ! -type d ! -name 'bitdrop-selftest*' ! -name libbitdrop.a | sort) >by_meson
        mv "$dir/root" "$dir/moved"
        prefix=$dir/moved lib=$dir/moved/$4
        (cd "$prefix" && find . ! -type d | sort) | diff by_meson -
        sh "$source/tests/check_install.sh" "$prefix" "$4" "$(sed -n 's/^set(PACKAGE_VERSION \(.*\))/\1/p' \
            "$lib/cmake/bitdrop/bitdrop-config-version.cmake")"
        export PKG_CONFIG_LIBDIR="$lib/pkgconfig"
        cd ../cmake
        run_cmake
        build/app
        cd ../make
        run_make
        LD_LIBRARY_PATH=$lib ./app
        ;;
    static)
        run_cmake
        build/app
        cd ../make
        pkg_config_options=--static
        if pkg-config --static --libs bitdrop | grep -q sleef && [ ! -f "$($CC -print-file-name=libsleef.a)" ]; then
            mkdir archive # there is no archive of SLEEF, so only bitdrop is static
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
        need ninja
        ln -s "$source" subprojects/bitdrop
        # shellcheck disable=SC2086 # MESON is a command and its arguments
        set -- $MESON
        "$@" setup build --wrap-mode=forcefallback -Dbitdrop:buildtype=debug
        "$@" compile -C build
        build/app
        if "$@" introspect --targets build | grep -q selftest; then
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
