/* SPDX-License-Identifier: Apache-2.0 */
/* Words of the vocabulary in plain C, for ISAs that have nothing better. */
#ifndef BITDROP_TEMPLATE_PLAIN_H
#define BITDROP_TEMPLATE_PLAIN_H

#include "template/bits.h"

static inline uint64_t words_open(const uint8_t *open)
{
    uint64_t which = 0;

    for (int i = 0; i < 64; i++)
        which |= (uint64_t)(load_le32(open + 4 * i) != 0) << i;
    return which;
}

#endif
