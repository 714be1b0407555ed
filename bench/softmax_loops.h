/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of softmax.c, which calls of softmax are compared with. */
#ifndef BITDROP_BENCH_SOFTMAX_LOOPS_H
#define BITDROP_BENCH_SOFTMAX_LOOPS_H

#include "loops.h"

struct softmax_loop_arguments {
    size_t rows, cols;
    const void *x, *prob;
    void *y;
};

struct softmax_loops {
    void (*softmax)(const struct softmax_loop_arguments *a);   /* f32; one pass for each step */
    void (*grad_f32)(const struct softmax_loop_arguments *a);  /* y = 0.125 * prob * x, */
    void (*grad_bf16)(const struct softmax_loop_arguments *a); /* which moves as many bytes */
};

/* NULL if there are none for the ISA. */
const struct softmax_loops *softmax_loops_of(bitdrop_isa isa);

#endif
