/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BITDROP_BENCH_TARGETS_H
#define BITDROP_BENCH_TARGETS_H

#include "bitdrop/bitdrop.h"

/* Measures what bitdrop must reach with this ISA, prints a row for each, and tells how many fail.
 * Each side of a row takes `seconds`. */
unsigned targets_run(bitdrop_isa isa, double seconds);

#endif
