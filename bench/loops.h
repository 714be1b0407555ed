/* SPDX-License-Identifier: Apache-2.0 */
/* Plain loops over f32 that the kernels are compared with: limits, vector math, and dropout as
 * people write it by hand. */
#ifndef BITDROP_BENCH_LOOPS_H
#define BITDROP_BENCH_LOOPS_H

#include <stddef.h>
#include <stdint.h>

#include "bitdrop/bitdrop.h"

struct loop_arguments {
    size_t n;
    float p, scale;
    const float *x;
    float *y;
    size_t ahead;          /* prefetches x this many bytes ahead; 0: does not prefetch */
    uint8_t *mask;         /* by hand: one byte for each element */
    const float *uniforms; /* made beforehand, in [0, 1) */
};

struct loop {
    const char *name;
    void (*run)(const struct loop_arguments *a);
    bitdrop_isa isa; /* the ISA that it needs; AUTO: none */
    size_t ahead;    /* loop_arguments.ahead */
};

/* Loops that read x, write y and compute almost nothing: no dropout can be faster. */
extern const struct loop limit_loops[];
extern const unsigned limit_loop_count;

/* Vector math alone, by the vec.h of an ISA. */
enum math { MATH_EXP, MATH_NOISE, MATHS };
extern const struct loop math_loops[];
extern const unsigned math_loop_count;

/* Its index in math_loops, or one >= math_loop_count if this program was built without that ISA. */
unsigned math_loop_of(enum math math, bitdrop_isa isa);

enum { BY_XORSHIFT, BY_RAND, BY_UNIFORMS };
extern const struct loop by_hand_loops[];
extern const unsigned by_hand_loop_count;

#endif
