/* SPDX-License-Identifier: Apache-2.0 */
/* Functions on masks alone, in plain C: sizes, count, unpack and pack. */
#include <string.h>

#include "arguments.h"
#include "span.h"

size_t bitdrop_mask_bytes(size_t n) { return bytes_of_bits(n); }

size_t bitdrop_mask_2d_bytes(const bitdrop_2d *shape)
{
    size_t bytes;

    if (shape == NULL || shape->rows == 0 || shape->cols == 0)
        return 0;
    const bitdrop_2d s = with_defaults(shape);
    if (s.first_row > UINT64_MAX - (s.rows - 1))
        return 0;

    const size_t more = (size_t)(last_group(&s) - first_group(&s));
    if (s.unit == BITDROP_EACH_ROW)
        return more / 8 + 1; /* ceil((more + 1) / 8) */
    if (__builtin_mul_overflow(more, s.mask_stride, &bytes) ||
        __builtin_add_overflow(bytes, bytes_of_bits(s.cols), &bytes))
        return 0;
    return bytes;
}

/* Eight bytes as a number. Their order does not matter, because only ones are counted. */
static uint64_t load_64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

bitdrop_status bitdrop_mask_count(size_t n, const uint8_t *mask, size_t *kept)
{
    struct span bits, number;
    size_t ones = 0, i = 0;

    if (kept == NULL || (n > 0 && mask == NULL))
        return BITDROP_ERR_NULL;
    span_make(&number, kept, 1, 1, 0, sizeof *kept);
    if (n > 0 && !span_make(&bits, mask, 1, bytes_of_bits(n), 0, 1))
        return BITDROP_ERR_RANGE;
    if (n > 0 && spans_overlap(&bits, &number))
        return BITDROP_ERR_OVERLAP;
    for (; n - i >= 64; i += 64)
        ones += (size_t)__builtin_popcountll(load_64(mask + i / 8));
    for (; i < n; i++)
        ones += mask[i / 8] >> (i % 8) & 1;
    *kept = ones;
    return BITDROP_OK;
}

/* Checks the buffers of unpack and pack: n bits and n bytes, one of which is written. */
static bitdrop_status check_packing(size_t n, const uint8_t *mask, const uint8_t *bytes)
{
    struct span bits, unpacked;

    if (n == 0)
        return BITDROP_OK;
    if (mask == NULL || bytes == NULL)
        return BITDROP_ERR_NULL;
    if (!span_make(&bits, mask, 1, bytes_of_bits(n), 0, 1) ||
        !span_make(&unpacked, bytes, 1, n, 0, 1))
        return BITDROP_ERR_RANGE;
    return spans_overlap(&bits, &unpacked) ? BITDROP_ERR_OVERLAP : BITDROP_OK;
}

bitdrop_status bitdrop_mask_unpack(size_t n, const uint8_t *mask, uint8_t *bytes)
{
    const bitdrop_status status = check_packing(n, mask, bytes);

    if (status != BITDROP_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        bytes[i] = mask[i / 8] >> (i % 8) & 1;
    return BITDROP_OK;
}

bitdrop_status bitdrop_mask_pack(size_t n, const uint8_t *bytes, uint8_t *mask)
{
    const bitdrop_status status = check_packing(n, mask, bytes);

    if (status != BITDROP_OK)
        return status;
    for (size_t i = 0; i < n; i += 8) {
        const size_t in_byte = n - i < 8 ? n - i : 8;
        uint8_t packed = 0;

        for (size_t b = 0; b < in_byte; b++)
            packed |= (uint8_t)((bytes[i + b] != 0) << b);
        mask[i / 8] = packed;
    }
    return BITDROP_OK;
}
