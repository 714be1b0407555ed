/* SPDX-License-Identifier: Apache-2.0 */
/* All cases that this machine can run, and which of them are measured by default. */
#ifndef BITDROP_BENCH_LIST_H
#define BITDROP_BENCH_LIST_H

#include "case.h"

enum { LIST_USUAL_N = 1 << 16 };

/*
 * Visits each combination of operation (src/operations.h), form, ISA, dtype, p, rounds, stores,
 * size, place and number of threads, in the order of the table. Leaves out combinations that would
 * measure the same as another: a mask alone has no dtype, a backward call no rounds, ...
 */
void list_cases(void (*visit)(const struct bench_case *c, void *argument), void *argument);

/*
 * Whether the default run has this case: each operation at p = 0.1 on 64 Ki elements; cases of
 * forward that differ from that on one axis, for each ISA and dtype, so that sizes make curves of
 * throughput; and each form and place that only some operations have.
 */
bool list_in_full(const struct bench_case *c);

/* Whether --quick has this case. */
bool list_in_quick(const struct bench_case *c);

#endif
