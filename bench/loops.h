/* SPDX-License-Identifier: Apache-2.0 */
/* The plain loops over f32 that the kernels are held against: limits, and what people write by
 * hand. */
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
    size_t ahead;          /* bytes: how far it prefetches; 0: not */
    uint8_t *mask;         /* by hand: one byte an element */
    const float *uniforms; /* made beforehand, in [0, 1) */
};

struct loop {
    const char *name;
    void (*run)(const struct loop_arguments *a);
    bitdrop_isa isa; /* needs this one; AUTO: runs everywhere */
    size_t ahead;    /* the argument that it is given */
};

/* Reads x and writes y, and does next to nothing in between: no dropout can be faster. */
extern const struct loop limit_loops[];
extern const unsigned limit_loop_count;

/* Vector math alone, by the words of an ISA. */
enum math { MATH_EXP, MATH_NOISE, MATHS };
extern const struct loop math_loops[];
extern const unsigned math_loop_count;

/* Its place in math_loops; not below math_loop_count if that ISA is not compiled here. */
unsigned math_loop_of(enum math math, bitdrop_isa isa);

enum { BY_XORSHIFT, BY_RAND, BY_UNIFORMS };
extern const struct loop by_hand_loops[];
extern const unsigned by_hand_loop_count;

#endif
