/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a tile that still have open elements, gathered into arrays for the late planes; and
 * the gathering in plain C, for the vocabularies whose ISA has nothing better.
 */
#ifndef BITDROP_TEMPLATE_OPEN_WORDS_H
#define BITDROP_TEMPLATE_OPEN_WORDS_H

#include "stream.h"
#include "template/bits.h"

enum {
    TILE_WORDS = TILE_ELEMENTS / WORD_ELEMENTS,
    OPEN_WORDS_SLACK = 32 /* entries that vectors may read or write past the last */
};

struct open_words {
    uint32_t at[TILE_WORDS + OPEN_WORDS_SLACK]; /* index of the word in the tile */
    uint32_t keep[TILE_WORDS + OPEN_WORDS_SLACK];
    uint32_t open[TILE_WORDS + OPEN_WORDS_SLACK];
};

/* Gathers those of `count` words that have open bits, and returns how many; without branches. */
static inline size_t open_words_gather_c(struct open_words *list, const uint8_t *keep,
                                         const uint8_t *open, size_t count)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        list->at[found] = (uint32_t)i;
        list->keep[found] = load_le32(keep + 4 * i);
        list->open[found] = load_le32(open + 4 * i);
        found += list->open[found] != 0;
    }
    return found;
}

#endif
