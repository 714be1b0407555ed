/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How everything here is timed: bodies take turns in short batches, so that a noisy neighbour or a
 * change of clock rate meets all of them alike, and the figure of each is the 10th percentile of
 * its batches.
 */
#ifndef BITDROP_BENCH_MEASURE_H
#define BITDROP_BENCH_MEASURE_H

#include <stddef.h>

struct body {
    void (*run)(void *argument, size_t calls);
    void *argument;
    unsigned threads; /* waking them takes time: batches of more than one are longer */
};

enum { MEASURE_MAX = 24, MEASURE_SAMPLES = 5 };

/* Writes to time[i] the seconds that one call of bodies[i] takes, after `seconds` of measuring each
 * and at least MEASURE_SAMPLES batches. count <= MEASURE_MAX. */
void measure(const struct body *bodies, size_t count, double seconds, double *time);

#endif
