/* SPDX-License-Identifier: Apache-2.0 */
/* The limit: the fastest of limit_loops at a size. */
#ifndef BITDROP_BENCH_LIMIT_H
#define BITDROP_BENCH_LIMIT_H

#include "case.h"

/* The limit of c: as many threads on as many bytes, and for a mask alone on as many f32. c is
 * prepared. The first call at a size times all loops, later ones remember. */
struct bench_case limit_of(const struct bench_case *c);

/* Seconds of a call of c, and of its limit, the two taking turns for `seconds` each. */
struct timing {
    double call, limit;
};

struct timing limit_time(struct bench_case *c, double seconds);

#endif
