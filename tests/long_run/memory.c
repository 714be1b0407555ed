/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that calls read and write. */
#include <stdlib.h>
#include <string.h>

#include "../oracle.h"
#include "long_run.h"

enum { FILL = 0x5A };

void region_set(struct region *r, size_t bytes, size_t gap, const void *content)
{
    const size_t allocated = (bytes + 3 * MARGIN) / 64 * 64 + 64;

    if (r->allocated < allocated) {
        free(r->base);
        r->base = aligned_alloc(64, allocated);
        r->allocated = allocated;
        if (r->base == NULL) {
            perror("long_run: memory");
            exit(2);
        }
    }
    r->at = r->base + MARGIN + gap;
    r->bytes = bytes;
    memset(r->at - MARGIN, FILL, MARGIN);
    if (content == NULL)
        memset(r->at, FILL, bytes);
    else if (bytes > 0)
        memcpy(r->at, content, bytes);
    memset(r->at + bytes, FILL, MARGIN);
}

bool regions_same(const struct region *a, const struct region *b, const bitdrop_dtype *t)
{
    if (memcmp(a->at - MARGIN, b->at - MARGIN, MARGIN) != 0 ||
        memcmp(a->at + a->bytes, b->at + b->bytes, MARGIN) != 0 || a->bytes != b->bytes)
        return false;
    if (t == NULL)
        return memcmp(a->at, b->at, a->bytes) == 0;
    return check_difference(*t, a->at, b->at, a->bytes / dtype_bytes(*t)) ==
           a->bytes / dtype_bytes(*t);
}

size_t draw_gap(struct check *c, bitdrop_dtype t)
{
    const size_t bytes = dtype_bytes(t);

    return check_below(c, 64 / bytes) * bytes;
}

size_t draw_size(struct check *c, size_t most)
{
    size_t orders = 0;

    while (orders < 63 && most >> orders > 1)
        orders++;
    const size_t least = (size_t)1 << check_below(c, orders + 1);
    const size_t n = least + check_below(c, least);

    return n < most ? n : most;
}

const void *draw_input(struct check *c, unsigned char *const pool[], bitdrop_dtype t)
{
    return pool[t] + check_below(c, POOL_PLACES - 1) * dtype_bytes(t);
}

/* Repeats the first `period` bytes of the pool. The period is an odd number of elements. */
static void repeat(unsigned char *pool, size_t period, size_t bytes)
{
    for (size_t at = period; at < bytes; at += period)
        memcpy(pool + at, pool, bytes - at < period ? bytes - at : period);
}

void pools_fill(size_t most)
{
    enum { PERIOD = 99991 };
    struct check c = {.random = 1};

    for (int i = 0; i < BITDROP_DTYPE_COUNT; i++) {
        const bitdrop_dtype t = (bitdrop_dtype)i;
        const size_t bytes = dtype_bytes(t), n = most + most / 4 + POOL_PLACES + PERIOD;

        pools.any[i] = malloc(n * bytes);
        pools.numbers[i] = malloc(n * bytes);
        if (pools.any[i] == NULL || pools.numbers[i] == NULL) {
            perror("long_run: memory");
            exit(2);
        }
        check_fill(&c, t, pools.any[i], PERIOD);
        repeat(pools.any[i], PERIOD * bytes, n * bytes);
        for (size_t k = 0; k < PERIOD; k++)
            oracle_put(t, 3 * check_unit(&c), pools.numbers[i] + k * bytes);
        repeat(pools.numbers[i], PERIOD * bytes, n * bytes);
    }
}
