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

/* Planes j to j + 3 of LATE_WORDS words of the list, from entry i on. */
static inline void late_block(const struct bitdrop_stream *s, const struct philox_plane *plane,
                              unsigned j, uint32_t first, struct open_words *list, size_t i)
{
    struct philox_lanes lanes[CHAINS];
    vec random[CHAINS][4];

    for (int c = 0; c < CHAINS; c++)
        lanes[c] = philox_lanes(s, vec_add(vec_load(list->at + i + c * LANES), vec_set1(first)));
    philox_blocks(s, lanes, plane, random);
    for (int c = 0; c < CHAINS; c++) {
        vec keep = vec_load(list->keep + i + c * LANES);
        vec open = vec_load(list->open + i + c * LANES);

        for (unsigned q = 0; q < LATE_PLANES; q++)
            compare_plane(&keep, &open, random[c][q], bitdrop_threshold_bit(s, j + q));
        vec_store(list->keep + i + c * LANES, keep);
        vec_store(list->open + i + c * LANES, open);
    }
}

/*
 * Stores the keep words of the list in the mask, and moves those that have open bits to its front;
 * returns how many. With the last planes done, what is open equals T, and keeps.
 */
static inline size_t settle_words(struct open_words *list, size_t found, uint8_t *keep, bool last)
{
    size_t left = 0;

    for (size_t i = 0; i < found; i++) {
        const uint32_t at = list->at[i], k = list->keep[i], o = list->open[i];

        store_le32(keep + 4 * at, last ? k | o : k);
        list->at[left] = at;
        list->keep[left] = k;
        list->open[left] = o;
        left += o != 0;
    }
    return last ? 0 : left;
}

/*
 * Runs the late planes for `count` words of a tile. first is the absolute index / 32 of the word
 * that keep and open begin with.
 */
static inline void late_planes(const struct bitdrop_stream *s, uint64_t first, size_t count,
                               uint8_t *keep, const uint8_t *open)
{
    struct open_words list;
    size_t found = open_words_gather(&list, keep, open, count);

    memset(list.at + found, 0, LATE_WORDS * sizeof *list.at); /* lanes that are not filled */
    memset(list.keep + found, 0, LATE_WORDS * sizeof *list.keep);
    memset(list.open + found, 0, LATE_WORDS * sizeof *list.open);
    for (unsigned j = EARLY_PLANES; found > 0; j += LATE_PLANES) {
        const uint32_t counter2 = EARLY_PLANES + (j - EARLY_PLANES) / LATE_PLANES;
        const struct philox_plane plane = philox_plane(s, (uint32_t)(first >> 32), counter2);

        for (size_t i = 0; i < found; i += LATE_WORDS)
            late_block(s, &plane, j, (uint32_t)first, &list, i);
        found = settle_words(&list, found, keep, j + LATE_PLANES >= s->planes);
    }
}

#endif
