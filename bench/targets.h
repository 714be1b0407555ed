/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BITDROP_BENCH_TARGETS_H
#define BITDROP_BENCH_TARGETS_H

#include "bitdrop/bitdrop.h"

/* Measures the targets for this ISA, prints a row for each, and returns how many are missed. Each
 * side of a row is measured for `seconds`. */
unsigned targets_run(bitdrop_isa isa, double seconds);

#endif
