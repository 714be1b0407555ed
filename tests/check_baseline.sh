#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_baseline.sh qemu-x86_64 too_new
# A program that was compiled for a newer CPU than this one must say what this CPU lacks. On a newer CPU it must run.
set -eu

status=0
said=$("$1" -cpu Nehalem "$2" 2>&1) || status=$?
echo "$said"
[ $status -eq 3 ]
case $said in *AVX2*) ;; *) exit 1 ;; esac
"$1" -cpu max "$2"
