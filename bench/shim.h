/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Google Benchmark for C: it names, filters and counts, and writes the JSON. The timing is that of
 * measure.h, so that a ratio means the same in every mode.
 */
#ifndef BITDROP_BENCH_SHIM_H
#define BITDROP_BENCH_SHIM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shim_result {
    double seconds, limit_seconds; /* of a call; limit_seconds may be 0: not known */
    size_t elements, bytes, mask_bytes;
};

typedef struct shim_result shim_body(void *argument);

void shim_register(const char *name, shim_body *body, void *argument);

/* A line about the machine or the program for the head of the JSON. */
void shim_context(const char *key, const char *value);

/* Runs what is registered, silently. The arguments are Google Benchmark's own, argv[0] aside.
 * Returns the exit status. */
int shim_run(int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
