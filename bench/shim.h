/* SPDX-License-Identifier: Apache-2.0 */
/* Google Benchmark for C: all of it that the benchmarks need. */
#ifndef BITDROP_BENCH_SHIM_H
#define BITDROP_BENCH_SHIM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void bench_body(void *argument);

/* One call of body handles so many elements and so many bytes, read and written. */
void bench_register(const char *name, bench_body *body, void *argument, size_t elements,
                    size_t bytes);

/* Runs what is registered and matches the flags; returns the exit status. */
int bench_run(int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
