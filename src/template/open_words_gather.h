/* SPDX-License-Identifier: Apache-2.0 */
/* The open_words_gather of a vocabulary whose ISA has nothing better, in plain C without branches.
 */
#ifndef BITDROP_TEMPLATE_OPEN_WORDS_GATHER_H
#define BITDROP_TEMPLATE_OPEN_WORDS_GATHER_H

#include "template/bits.h"
#include "template/open_words.h"

static inline size_t open_words_gather(struct open_words *list, const uint8_t *open, size_t count)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        list->at[found] = (uint32_t)i;
        list->open[found] = load_le32(open + 4 * i);
        found += list->open[found] != 0;
    }
    return found;
}

#endif
