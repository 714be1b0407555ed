/* SPDX-License-Identifier: Apache-2.0 */
/* A region is rows of bytes at three strides. Whether two regions share a byte. */
#ifndef BITDROP_REGION_H
#define BITDROP_REGION_H

#include "span.h"

enum { REGION_LEVELS = 3 };

/* The largest stride comes first, so rows are in ascending order. An unused level has count 1. */
struct region {
    uintptr_t base;
    size_t bytes;                                       /* of a row */
    size_t count[REGION_LEVELS], stride[REGION_LEVELS]; /* stride: bytes */
    bool nested; /* each stride is at least the extent of the levels after it, so no two rows share
                    a byte. If not, the region is one row, from its first byte to its last one */
};

static inline void region_swap(struct region *r, int i)
{
    const size_t count = r->count[i], stride = r->stride[i];

    r->count[i] = r->count[i + 1];
    r->stride[i] = r->stride[i + 1];
    r->count[i + 1] = count;
    r->stride[i + 1] = stride;
}

/* The extent of the levels from `level` on: bytes from the first one to the last one. */
static inline size_t region_extent(const struct region *r, int level)
{
    size_t bytes = r->bytes;

    for (int i = level; i < REGION_LEVELS; i++)
        bytes += (r->count[i] - 1) * r->stride[i];
    return bytes;
}

/*
 * A row has cols elements of `size` bytes. Counts are > 0, and strides are in elements, in any
 * order. False if the region reaches past the end of the address space.
 */
static inline bool region_make(struct region *r, const void *base,
                               const size_t count[REGION_LEVELS],
                               const size_t stride[REGION_LEVELS], size_t cols, size_t size)
{
    size_t available = UINTPTR_MAX - (uintptr_t)base;

    *r = (struct region){.base = (uintptr_t)base, .nested = true};
    if (__builtin_mul_overflow(cols, size, &r->bytes) || r->bytes > available)
        return false;
    available -= r->bytes;
    for (int i = 0; i < REGION_LEVELS; i++) {
        size_t all;

        r->count[i] = count[i];
        r->stride[i] = 0;
        if (count[i] == 1)
            continue;
        if (__builtin_mul_overflow(stride[i], size, &r->stride[i]) ||
            __builtin_mul_overflow(r->stride[i], count[i] - 1, &all) || all > available)
            return false;
        available -= all;
        r->nested &= stride[i] != 0;
        if (stride[i] == 0)
            r->count[i] = 1;
    }
    for (int last = REGION_LEVELS - 1; last > 0; last--)
        for (int i = 0; i < last; i++)
            if (r->stride[i] < r->stride[i + 1])
                region_swap(r, i);
    for (int i = 0; i < REGION_LEVELS; i++)
        if (r->count[i] > 1 && r->stride[i] < region_extent(r, i + 1)) {
            r->bytes = region_extent(r, 0);
            r->count[0] = r->count[1] = r->count[2] = 1;
            r->nested = false;
        }
    for (int i = REGION_LEVELS - 1; i >= 0 && (r->count[i] == 1 || r->stride[i] == r->bytes); i--) {
        r->bytes *= r->count[i]; /* rows without gaps become one row */
        r->count[i] = 1;
    }
    return true;
}

static inline uintptr_t region_row(const struct region *r, size_t row)
{
    uintptr_t at = r->base;

    for (int i = REGION_LEVELS - 1; i >= 0; i--) {
        at += row % r->count[i] * r->stride[i];
        row /= r->count[i];
    }
    return at;
}

/* Exact if both are nested. In a region that is not, the bytes between its rows count too. */
static inline bool regions_overlap(const struct region *a, const struct region *b)
{
    const size_t a_rows = a->count[0] * a->count[1] * a->count[2];
    const size_t b_rows = b->count[0] * b->count[1] * b->count[2];

    if (a->base + region_extent(a, 0) <= b->base || b->base + region_extent(b, 0) <= a->base)
        return false;
    for (size_t i = 0, j = 0; i < a_rows && j < b_rows;) {
        if (region_row(a, i) + a->bytes <= region_row(b, j))
            i++;
        else if (region_row(b, j) + b->bytes <= region_row(a, i))
            j++;
        else
            return true;
    }
    return false;
}

#endif
