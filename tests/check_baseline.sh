#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_baseline.sh qemu-x86_64 too_new
# On a CPU that is older than the program was compiled for, it says what is missing; on a newer one it is content.
set -eu

status=0
said=$("$1" -cpu Nehalem "$2" 2>&1) || status=$?
echo "$said"
[ $status -eq 3 ]
case $said in *AVX2*) ;; *) exit 1 ;; esac
"$1" -cpu max "$2"
