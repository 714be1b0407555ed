/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a tile that still have open elements, gathered into arrays for the late planes.
 */
#ifndef BITDROP_TEMPLATE_OPEN_WORDS_H
#define BITDROP_TEMPLATE_OPEN_WORDS_H

#include <stdint.h>

#include "stream.h"

enum {
    TILE_WORDS = TILE_ELEMENTS / WORD_ELEMENTS,
    OPEN_WORDS_SLACK = 32 /* entries that vectors may read or write past the last */
};

struct open_words {
    uint32_t at[TILE_WORDS + OPEN_WORDS_SLACK]; /* index of the word in the tile */
    uint32_t open[TILE_WORDS + OPEN_WORDS_SLACK];
};

#endif
