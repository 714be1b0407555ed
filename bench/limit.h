/* SPDX-License-Identifier: Apache-2.0 */
/* The limit of a case: the time of the fastest loop of limit_loops for as many bytes. */
#ifndef BITDROP_BENCH_LIMIT_H
#define BITDROP_BENCH_LIMIT_H

#include "case.h"

/* The fastest limit loop for as many threads and bytes as c has; for a mask alone, for as many
 * f32. c must be prepared. The first call for a size times all loops; later ones look it up. */
struct bench_case limit_of(const struct bench_case *c);

/* Seconds that a call of c and its limit take. Both are measured in turns, for `seconds` each. */
struct timing {
    double call, limit;
};

struct timing limit_time(struct bench_case *c, double seconds);

#endif
