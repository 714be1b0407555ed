/* SPDX-License-Identifier: Apache-2.0 */
/* The buffers that all cases share. */
#ifndef BITDROP_BENCH_MEMORY_H
#define BITDROP_BENCH_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitdrop/bitdrop.h"

enum { MEMORY_BIAS_ELEMENTS = 1024 };

/* Each but the bias has room for the largest tensor, the gaps between its rows, and odd addresses.
 */
struct memory {
    unsigned char *x, *y, *third; /* third: a residual, or another second matrix that is read */
    unsigned char *bias;
    uint8_t *mask; /* of one bit, or one byte an f32 */
};

/* Bytes of the largest tensor: 8 times the last-level cache, or what memory_at_most said before. */
size_t memory_largest(void);
void memory_at_most(size_t bytes);

const struct memory *memory_buffers(void);

/*
 * Fills bytes of x and the bias with numbers of dtype t, and makes as much of y and the mask
 * present. They are in [1, 2); zeros are for what is multiplied in place again and again, because
 * anything else would leave the normal range. Cheap if they are there already.
 */
void memory_fill(bitdrop_dtype t, size_t bytes, bool zeros);

/* The same of the third matrix. The uniforms, which no operation reads, share its memory. */
void memory_fill_third(bitdrop_dtype t, size_t bytes, bool zeros);
void memory_fill_uniforms(size_t n);
const float *memory_uniforms(void); /* in [0, 1) */

#endif
