/* SPDX-License-Identifier: Apache-2.0 */
/* The buffers that all cases share. */
#ifndef BITDROP_BENCH_MEMORY_H
#define BITDROP_BENCH_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitdrop/bitdrop.h"

/* Each has room for the largest tensor, the gaps between its rows, and odd addresses. */
struct memory {
    unsigned char *x, *y;
    uint8_t *mask;   /* of one bit, or one byte an f32 */
    float *uniforms; /* in [0, 1) */
};

/* Bytes of the largest tensor: 8 times the last-level cache, or what memory_at_most said before. */
size_t memory_largest(void);
void memory_at_most(size_t bytes);

const struct memory *memory_buffers(void);

/*
 * Fills bytes of x with numbers of dtype t, and makes as much of the rest present. They are in
 * [1, 2); zeros are for what is multiplied in place again and again, for anything else would leave
 * the normal range. Cheap if they are there already.
 */
void memory_fill(bitdrop_dtype t, size_t bytes, bool zeros);
void memory_fill_uniforms(size_t n);

#endif
