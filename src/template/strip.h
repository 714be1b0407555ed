/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keep bits of a strip that may have fewer elements than a word.
 *
 * Include the vec.h of an ISA first. It defines keep_bits and keep_bits_load.
 */
#ifndef BITDROP_TEMPLATE_STRIP_H
#define BITDROP_TEMPLATE_STRIP_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include "stream.h"

/* Bits that are 1 for the first n elements of a strip. */
static inline keep_bits first_lanes(size_t n, uint8_t buffer[WORD_ELEMENTS / 8])
{
    store_le32(buffer, (uint32_t)((UINT64_C(1) << n) - 1));
    return keep_bits_load(buffer);
}

/* The keep bits of n <= WORD_ELEMENTS elements from col on, a multiple of 8, and 0 after them. */
static inline keep_bits strip_bits(const uint8_t *keep, size_t col, size_t n,
                                   uint8_t buffer[WORD_ELEMENTS / 8])
{
    if (n == WORD_ELEMENTS)
        return keep_bits_load(keep + col / 8);
    store_le32(buffer, bits_word(keep, col, n));
    return keep_bits_load(buffer);
}

#endif
