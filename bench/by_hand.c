/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dropout as it is written by hand: one random number per element, and a mask of one byte each. The
 * library is compared with these, so they are compiled like any user's code, with the baseline
 * flags.
 */
#include "loops.h"

#include <stdlib.h>

/* Marsaglia, Xorshift RNGs (2003), the 32-bit generator. */
static uint32_t xorshift(uint32_t s)
{
    s ^= s << 13;
    s ^= s >> 17;
    s ^= s << 5;
    return s;
}

static void by_xorshift(const struct loop_arguments *a)
{
    const uint32_t threshold = (uint32_t)(a->p * 0x1p32F);
    uint32_t s = 2463534242;

    for (size_t i = 0; i < a->n; i++) {
        s = xorshift(s);
        a->mask[i] = s >= threshold;
        a->y[i] = a->mask[i] ? a->x[i] * a->scale : 0;
    }
}

static void by_rand(const struct loop_arguments *a)
{
    const int threshold = (int)((double)a->p * RAND_MAX);

    for (size_t i = 0; i < a->n; i++) {
        a->mask[i] = rand() >= threshold;
        a->y[i] = a->mask[i] ? a->x[i] * a->scale : 0;
    }
}

/* The numbers were made before, at a cost that is not counted here. */
static void by_uniforms(const struct loop_arguments *a)
{
    for (size_t i = 0; i < a->n; i++) {
        a->mask[i] = a->uniforms[i] >= a->p;
        a->y[i] = a->mask[i] ? a->x[i] * a->scale : 0;
    }
}

const struct loop by_hand_loops[] = {
    [BY_XORSHIFT] = {"xorshift", by_xorshift, BITDROP_ISA_AUTO, 0},
    [BY_RAND] = {"rand", by_rand, BITDROP_ISA_AUTO, 0},
    [BY_UNIFORMS] = {"uniforms", by_uniforms, BITDROP_ISA_AUTO, 0},
};

const unsigned by_hand_loop_count = sizeof by_hand_loops / sizeof *by_hand_loops;
