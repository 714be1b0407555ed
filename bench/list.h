/* SPDX-License-Identifier: Apache-2.0 */
/* All cases of this machine, and the choices among them. */
#ifndef BITDROP_BENCH_LIST_H
#define BITDROP_BENCH_LIST_H

#include "case.h"

enum { LIST_USUAL_N = 1 << 16 };

/*
 * Visits the product of operation, form, ISA, dtype, p, rounds, stores, size, in place or not, and
 * number of threads, without those that say nothing new (a mask alone has no dtype, a backward pass
 * no rounds, ...). Operations are those of src/operations.h. Sorted as a table should be.
 */
void list_cases(void (*visit)(const struct bench_case *c, void *argument), void *argument);

/* Each operation at p = 0.1 on 64 Ki elements; of forward what differs from that in one way, ISA
 * and dtype apart: so the sizes make throughput curves, and every other axis is seen once; and each
 * form and place that only some operations have. */
bool list_in_full(const struct bench_case *c);

/* What a newcomer wants to see. */
bool list_in_quick(const struct bench_case *c);

#endif
