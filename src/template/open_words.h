/* SPDX-License-Identifier: Apache-2.0 */
/* The open_words of a vocabulary whose ISA has nothing better. */
#ifndef BITDROP_TEMPLATE_OPEN_WORDS_H
#define BITDROP_TEMPLATE_OPEN_WORDS_H

#include "template/bits.h"

enum { OPEN_WORDS_SLACK = 0 };

/* Writes the indices of the words that are not 0 and returns how many; without branches. */
static inline size_t open_words(const uint8_t *open, size_t count, uint32_t *at)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        at[found] = (uint32_t)i;
        found += load_le32(open + 4 * i) != 0;
    }
    return found;
}

#endif
