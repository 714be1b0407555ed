/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a tile that still have open elements, gathered into arrays for the late planes.
 *
 * The includer's vec.h defines words_open.
 */
#ifndef BITDROP_TEMPLATE_OPEN_WORDS_H
#define BITDROP_TEMPLATE_OPEN_WORDS_H

#include "stream.h"
#include "template/bits.h"

enum {
    TILE_WORDS = TILE_ELEMENTS / WORD_ELEMENTS,
    OPEN_WORDS_SLACK = 64 /* words of 0 behind those that are gathered */
};

struct open_words {
    uint32_t at[TILE_WORDS + LANES]; /* index of the word in the tile */
    uint32_t open[TILE_WORDS + LANES];
};

/* Those of `count` words that are not 0, in ascending order; returns how many. */
static inline size_t open_words_gather(struct open_words *list, const uint8_t *open, size_t count)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i += 64) {
        for (uint64_t some = words_open(open + 4 * i); some != 0; some &= some - 1) {
            const size_t at = i + (size_t)__builtin_ctzll(some);

            list->at[found] = (uint32_t)at;
            list->open[found] = load_le32(open + 4 * at);
            found++;
        }
    }
    return found;
}

/*
 * Appends those of LANES words that are not 0 to the first `found` of the list, behind which `at`
 * may lie; returns how many there are then.
 */
static inline size_t open_words_append(struct open_words *list, size_t found, const uint32_t *at,
                                       const uint32_t *open)
{
    for (size_t i = 0; i < LANES; i++) {
        list->at[found] = at[i];
        list->open[found] = open[i];
        found += open[i] != 0;
    }
    return found;
}

#endif
