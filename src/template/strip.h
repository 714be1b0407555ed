/* SPDX-License-Identifier: Apache-2.0 */
/* Keep bits of a strip that may have fewer elements than a word. The includer has included vec.h.
 */
#ifndef BITDROP_TEMPLATE_STRIP_H
#define BITDROP_TEMPLATE_STRIP_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include "stream.h"

/* The lanes of a strip that are elements, if it has n of them. */
static inline keep_bits first_lanes(size_t n, uint8_t buffer[WORD_ELEMENTS / 8])
{
    store_le32(buffer, (uint32_t)((UINT64_C(1) << n) - 1));
    return keep_bits_load(buffer);
}

/* Those that are kept, of n elements from the whole byte of bit col on. */
static inline keep_bits strip_bits(const uint8_t *keep, size_t col, size_t n,
                                   uint8_t buffer[WORD_ELEMENTS / 8])
{
    if (n == WORD_ELEMENTS)
        return keep_bits_load(keep + col / 8);
    store_le32(buffer, bits_word(keep, col, n));
    return keep_bits_load(buffer);
}

#endif
