/* SPDX-License-Identifier: Apache-2.0 */
/* The buffers that all cases share. */
#ifndef BITDROP_BENCH_MEMORY_H
#define BITDROP_BENCH_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitdrop/bitdrop.h"

enum { MEMORY_BIAS_ELEMENTS = 1024 };

/* Each except the bias has room for the largest tensor, gaps between its rows, and skews. */
struct memory {
    unsigned char *x, *y, *third; /* third: a residual, or another matrix beside x that is read */
    unsigned char *bias;
    uint8_t *mask; /* a bit for each element; dropout by hand uses a byte for each f32 */
};

/* Bytes of the largest tensor: 8 times the last-level cache, or what memory_at_most has set. */
size_t memory_largest(void);
void memory_at_most(size_t bytes);

const struct memory *memory_buffers(void);

/*
 * Fills `bytes` of x, and the bias, with numbers of dtype t in [1, 2), and touches as much of y and
 * the mask. With `zeros` the numbers are 0: a case that multiplies in place again and again would
 * leave the normal range with others. Returns at once if the buffers hold these numbers already.
 */
void memory_fill(bitdrop_dtype t, size_t bytes, bool zeros);

/* The same for the third matrix. The uniforms share its memory; no operation reads them. */
void memory_fill_third(bitdrop_dtype t, size_t bytes, bool zeros);
void memory_fill_uniforms(size_t n);
const float *memory_uniforms(void); /* in [0, 1) */

#endif
