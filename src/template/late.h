/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The late planes: after the 8 early ones about 1 element in 256 is still open, in about 1 mask
 * word of 32 in 8. Those words are gathered and run CHAINS * LANES at a time, 4 planes a Philox
 * block; after each block the few that still have open elements go on.
 *
 * The includer's vec.h defines, beyond what planes.h needs, vec_load, vec_store and
 * open_words_gather.
 */
#ifndef BITDROP_TEMPLATE_LATE_H
#define BITDROP_TEMPLATE_LATE_H

#include "template/bits.h"
#include "template/open_words.h"
#include "template/planes.h"

enum {
    LATE_WORDS = CHAINS * LANES, /* run together */
    LATE_PLANES = 4              /* of one Philox block */
};
_Static_assert((int)LATE_WORDS <= (int)OPEN_WORDS_SLACK, "a run of words reads past the last one");

/*
 * Appends those of LATE_WORDS words that have open elements to the first `found` of the list, which
 * at may lie behind; returns how many there are then.
 */
static inline size_t append_open_words(struct open_words *list, size_t found, const uint32_t *at,
                                       const uint32_t *open)
{
    for (size_t i = 0; i < LATE_WORDS; i++) {
        list->at[found] = at[i];
        list->open[found] = open[i];
        found += open[i] != 0;
    }
    return found;
}

/*
 * Planes j to j + 3 of LATE_WORDS words of the list, from entry i on: what they keep, and what they
 * leave open.
 */
FORCE_INLINE void late_block(const struct bitdrop_stream *s, const struct philox_plane *plane,
                             unsigned j, uint32_t first, const struct open_words *list, size_t i,
                             uint32_t keep[LATE_WORDS], uint32_t open[LATE_WORDS])
{
    struct philox_lanes lanes[CHAINS];
    vec random[CHAINS][4];

    for (int c = 0; c < CHAINS; c++)
        lanes[c] = philox_lanes(s, vec_add(vec_load(list->at + i + c * LANES), vec_set1(first)));
    philox_before_last(s, lanes, plane, random, no_step, NULL);
    for (int c = 0; c < CHAINS; c++) {
        vec k = vec_set1(0), o = vec_load(list->open + i + c * LANES);

        philox_round(s->key[s->rounds - 1], random[c]);
        for (unsigned q = 0; q < LATE_PLANES; q++)
            compare_plane(&k, &o, random[c][q], bitdrop_threshold_bit(s, j + q));
        vec_store(keep + c * LANES, k);
        vec_store(open + c * LANES, o);
    }
}

/*
 * Runs the late planes for `count` words of a tile. first is the absolute index / 32 of the word
 * that keep and open begin with.
 */
FORCE_INLINE void late_planes(const struct bitdrop_stream *s, uint64_t first, size_t count,
                              uint8_t *keep, const uint8_t *open)
{
    struct open_words list;
    size_t found = open_words_gather(&list, open, count);

    for (unsigned j = EARLY_PLANES; found > 0; j += LATE_PLANES) {
        const bool last = j + LATE_PLANES >= s->planes;
        const uint32_t counter2 = EARLY_PLANES + (j - EARLY_PLANES) / LATE_PLANES;
        const struct philox_plane plane = philox_plane(s, (uint32_t)(first >> 32), counter2);
        size_t left = 0;

        memset(list.open + found, 0,
               LATE_WORDS * sizeof *list.open); /* lanes that are not filled */
        for (size_t i = 0; i < found; i += LATE_WORDS) {
            const size_t filled = found - i < LATE_WORDS ? found - i : LATE_WORDS;
            uint32_t k[LATE_WORDS], o[LATE_WORDS];

            late_block(s, &plane, j, (uint32_t)first, &list, i, k, o);
            for (size_t w = 0; w < filled; w++) {
                uint8_t *word = keep + 4 * list.at[i + w];

                store_le32(word, load_le32(word) | k[w] | (last ? o[w] : 0));
            }
            if (!last)
                left = append_open_words(&list, left, list.at + i, o);
        }
        found = left;
    }
}

#endif
