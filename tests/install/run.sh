#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the build folder into a fresh tree, moves the tree, and builds a program against it by pkg-config and by
# find_package. BUILD: the build folder; TEST_TMP: a fresh folder to work in.
set -u
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
build=${BUILD:-build}
work=${TEST_TMP:-$(mktemp -d)}
tree=$work/tree
failed=0

check() { # NAME COMMAND...
    name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "PASS install/$name"
    else
        echo "FAIL install/$name: $(grep -v '^ *$' "$work/log" | tail -n 1 | cut -c1-200)"
        failed=1
    fi
}

by_pkg_config() {
    PKG_CONFIG_PATH=$(dirname "$(find "$tree" -name olivine.pc)")
    export PKG_CONFIG_PATH
    # shellcheck disable=SC2046 # flags are words
    ${CC:-cc} "$here/consumer/main.c" -o "$work/by-pc" $(pkg-config --cflags --libs olivine) &&
        LD_LIBRARY_PATH=$(pkg-config --variable=libdir olivine) "$work/by-pc"
}

by_find_package() {
    cmake -S "$here/consumer" -B "$work/by-cmake" -DCMAKE_PREFIX_PATH="$tree" &&
        cmake --build "$work/by-cmake" && "$work/by-cmake/consumer"
}

has_files() {
    for f in bin/olivine include/olivine/status.h share/man/man1/olivine.1 \
        share/bash-completion/completions/olivine; do
        [ -s "$tree/$f" ] || { echo "$f is not in the tree"; return 1; }
    done
}

only_public_symbols() {
    lib=$(find "$tree" -name 'libolivine.so' | head -n 1)
    nm -D --defined-only "$lib" | awk '$3 !~ /^olv_/ { print "exported: " $3; bad = 1 } END { exit bad }'
}

if ! cmake --install "$build" --prefix "$work/first" >"$work/log" 2>&1; then
    echo "FAIL install/tree: $(tail -n 1 "$work/log")"
    exit 1
fi
mv "$work/first" "$tree"
check files has_files
check program "$tree/bin/olivine" --version
check pkg-config by_pkg_config
check find-package by_find_package
check symbols only_public_symbols
exit $failed
