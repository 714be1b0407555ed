/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

#include <string.h>

size_t rows_total(size_t count, size_t bytes, size_t stride)
{
    return count == 0 || bytes == 0 ? 0 : (count - 1) * stride + bytes;
}

struct rows rows_new(struct guard guards[3], size_t count, size_t bytes, size_t stride,
                     struct place place)
{
    const size_t total = rows_total(count, bytes, stride);
    struct rows r = {.guard = guards, .count = count, .bytes = bytes, .stride = stride};

    while (r.guard->size < total + place.gap)
        r.guard++;
    guard_reset(r.guard);
    r.at = place.behind ? guard_back(r.guard, total, place.gap) : guard_front(r.guard, place.gap);
    return r;
}

unsigned char *rows_shadow(const struct rows *r, size_t row)
{
    return guard_shadow(r->guard, r->at + row * r->stride);
}

void rows_settle(const struct rows *r)
{
    for (size_t i = 0; i < r->count; i++)
        memcpy(r->at + i * r->stride, rows_shadow(r, i), r->bytes);
}

bool rows_find(const struct rows *r, const unsigned char *p, size_t *row, size_t *byte)
{
    if (p < r->at || r->count == 0)
        return false;
    *row = r->count == 1 ? 0 : (size_t)(p - r->at) / r->stride;
    *byte = (size_t)(p - r->at) - *row * r->stride;
    return *row < r->count && *byte < r->bytes;
}
