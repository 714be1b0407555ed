/* SPDX-License-Identifier: Apache-2.0 */
/* One thing to be timed, as data. */
#ifndef BITDROP_BENCH_CASE_H
#define BITDROP_BENCH_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitdrop/bitdrop.h"

enum operation { MASK, FORWARD, BACKWARD, RECOMPUTE, INFER, BY_HAND, LIMIT };

struct bench_case {
    enum operation op;
    unsigned loop; /* which of loops.h: with BY_HAND and LIMIT, which are flat f32 */
    bitdrop_isa isa;
    bitdrop_dtype dtype;
    double p;
    size_t n;
    unsigned rounds;  /* 0: ten */
    unsigned stores;  /* BITDROP_STORES_* */
    unsigned threads; /* 0: one. Each takes a cut at a multiple of 2048 elements, or rows */
    bool two_d;       /* rows of case_cols with a gap behind each */
    bool in_place;
    size_t x_skew, y_skew, mask_skew; /* elements, elements and bytes beyond an aligned address */
    uint64_t offset;
};

enum { CASE_NAME_BYTES = 128 };

/* operation/flat or 2d/isa/dtype/p/rounds/stores/n/in or out of place/threads */
void case_name(const struct bench_case *c, char name[CASE_NAME_BYTES]);
const char *case_operation_name(const struct bench_case *c);
const char *case_dtype_name(const struct bench_case *c); /* "-" of a mask alone */
size_t dtype_bytes(bitdrop_dtype t);

/* What one call reads and writes in all, and of that the mask. */
size_t case_bytes(const struct bench_case *c);
size_t case_mask_bytes(const struct bench_case *c);

/* Of cases that are timed in turn, all are prepared first; one dtype goes at a time. */
void case_prepare(const struct bench_case *c);

/* Runs it so many times. The argument is a const struct bench_case: a body of measure.h. */
void case_repeat(void *argument, size_t calls);

#endif
