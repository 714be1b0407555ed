/* SPDX-License-Identifier: Apache-2.0 */
/* A span is rows of bytes: whether it fits in the address space, and whether two share a byte. */
#ifndef BITDROP_SPAN_H
#define BITDROP_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

struct span {
    uintptr_t base;
    size_t rows, bytes; /* both > 0 */
    size_t stride;      /* bytes from row to row, at least bytes; of a single row: 0 */
};

INLINE uint64_t smaller_64(uint64_t a, uint64_t b) { return a < b ? a : b; }

INLINE uintptr_t span_row(const struct span *s, size_t row) { return s->base + row * s->stride; }

/*
 * The span of rows x cols elements of `size` bytes, with `stride` elements from row to row. False
 * if it reaches past the end of the address space.
 */
INLINE bool span_make(struct span *s, const void *base, size_t rows, size_t cols, size_t stride,
                      size_t size)
{
    const uintptr_t available = UINTPTR_MAX - (uintptr_t)base;

    *s = (struct span){(uintptr_t)base, rows, 0, 0};
    if (__builtin_mul_overflow(cols, size, &s->bytes) || s->bytes > available)
        return false;
    if (rows == 1)
        return true;
    if (__builtin_mul_overflow(stride, size, &s->stride) || s->stride > available)
        return false;
    return rows - 1 <= (available - s->bytes) / s->stride;
}

/* Exact: rows that lie in the gaps of the other span do not overlap it. */
static __attribute__((noinline)) bool rows_overlap(struct span a, struct span b)
{
    size_t i = 0, j = 0;

    while (i < a.rows && j < b.rows) {
        if (span_row(&a, i) + a.bytes <= span_row(&b, j))
            i++;
        else if (span_row(&b, j) + b.bytes <= span_row(&a, i))
            j++;
        else
            return true;
    }
    return false;
}

/* Most spans lie apart. Finding that needs no function call, so they can stay in registers. */
INLINE bool spans_overlap(const struct span *a, const struct span *b)
{
    return span_row(a, a->rows - 1) + a->bytes > b->base &&
           span_row(b, b->rows - 1) + b->bytes > a->base && rows_overlap(*a, *b);
}

INLINE bool spans_same(const struct span *a, const struct span *b)
{
    return a->base == b->base && a->stride == b->stride;
}

#endif
