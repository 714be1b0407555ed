/* SPDX-License-Identifier: Apache-2.0 */
/* What the softmax calls are held against, for one ISA each: rows of softmax.c. */
#ifndef BITDROP_BENCH_SOFTMAX_LOOPS_H
#define BITDROP_BENCH_SOFTMAX_LOOPS_H

#include "loops.h"

struct softmax_loop_arguments {
    size_t rows, cols;
    const void *x, *prob;
    void *y;
};

struct softmax_loops {
    void (*softmax)(const struct softmax_loop_arguments *a);  /* of rows of f32, a pass a step */
    void (*grad_f32)(const struct softmax_loop_arguments *a); /* y = x * prob * a, */
    void (*grad_bf16)(const struct softmax_loop_arguments *a);
};

/* NULL if there are none for the ISA. */
const struct softmax_loops *softmax_loops_of(bitdrop_isa isa);

#endif
