/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures time. Bodies take turns in short batches, so that other load on the machine or a change
 * of the clock rate affects all of them alike. The result of a body is the 10th percentile of its
 * batches.
 */
#ifndef BITDROP_BENCH_MEASURE_H
#define BITDROP_BENCH_MEASURE_H

#include <stddef.h>

struct body {
    void (*run)(void *argument, size_t calls);
    void *argument;
    unsigned threads; /* with more than one, batches are longer, because waking them takes time */
};

enum { MEASURE_MAX = 24, MEASURE_SAMPLES = 5 };

/* Writes to time[i] the seconds that one call of bodies[i] takes. Measures each body for `seconds`,
 * and for at least MEASURE_SAMPLES batches. count <= MEASURE_MAX. */
void measure(const struct body *bodies, size_t count, double seconds, double *time);

#endif
