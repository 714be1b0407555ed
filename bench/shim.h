/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Google Benchmark for C. It lists and runs the cases, and writes the JSON. The times in it are
 * those of measure.h, so that a ratio means the same in every mode.
 */
#ifndef BITDROP_BENCH_SHIM_H
#define BITDROP_BENCH_SHIM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shim_result {
    double seconds, limit_seconds; /* of a call; limit_seconds is 0 if it is unknown */
    size_t elements, bytes, mask_bytes;
};

typedef struct shim_result shim_body(void *argument);

void shim_register(const char *name, shim_body *body, void *argument);

/* Adds a property of the machine or the program to the context in the JSON. */
void shim_context(const char *key, const char *value);

/* Runs what is registered. Prints nothing itself. After argv[0] come options of Google Benchmark.
 * Returns the exit status. */
int shim_run(int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
