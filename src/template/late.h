/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The late planes: after the 8 early ones 1 element in 256 is still open, which leaves 1 mask word
 * in 8 with work to do. Those words of a tile are gathered and run LANES at a time through the next
 * 4 planes of each chain; the few that still have open elements after these go on.
 *
 * The includer's vec.h defines, beyond what planes.h needs, vec_add, vec_load, vec_store and
 * words_open.
 */
#ifndef BITDROP_TEMPLATE_LATE_H
#define BITDROP_TEMPLATE_LATE_H

#include "template/bits.h"
#include "template/open_words.h"
#include "template/planes.h"

enum {
    COUNTER_PLANES = 4,                   /* of one Philox block */
    LATE_PLANES = CHAINS * COUNTER_PLANES /* run together */
};
_Static_assert((PLANES - EARLY_PLANES) % LATE_PLANES == 0, "the last step reads past T");

/*
 * LATE_PLANES planes, from plane j on, of LANES words of the list, from entry i on: what they keep,
 * and what they leave open.
 */
FORCE_INLINE void late_block(const struct bitdrop_stream *s, const struct philox_plane *plane,
                             unsigned j, uint32_t first, const struct open_words *list, size_t i,
                             uint32_t keep[LANES], uint32_t open[LANES], work_hook *step,
                             struct work *work)
{
    const vec at = vec_add(vec_load(list->at + i), vec_set1(first));
    const struct philox_plane *planes[CHAINS];
    struct philox_lanes lanes[CHAINS];
    vec random[CHAINS][4], k = vec_set1(0), o = vec_load(list->open + i);

    for (int c = 0; c < CHAINS; c++) {
        lanes[c] = philox_lanes(s, at);
        planes[c] = &plane[c];
    }
    philox_before_last(s, &s->rounds, lanes, planes, random, step, work);
    step(work);
    for (int c = 0; c < CHAINS; c++) {
        philox_round(s->key[s->rounds - 1], random[c]);
        for (unsigned q = 0; q < COUNTER_PLANES; q++)
            compare_plane(&k, &o, random[c][q],
                          bitdrop_threshold_bit(s, j + c * COUNTER_PLANES + q));
    }
    vec_store(keep, k);
    vec_store(open, o);
}

/*
 * Runs the late planes from plane j on for `count` words of a tile. first is the absolute
 * index / 32 of the word that keep and open begin with. Behind open are OPEN_WORDS_SLACK words of
 * 0.
 */
FORCE_INLINE void late_planes(const struct bitdrop_stream *s, uint64_t first, size_t count,
                              unsigned j, uint8_t *keep, const uint8_t *open, work_hook *step,
                              work_hook *pause, struct work *work)
{
    struct open_words list;
    size_t found = open_words_gather(&list, open, count);

    for (; found > 0; j += LATE_PLANES) {
        const bool last = j + LATE_PLANES >= s->planes;
        const uint32_t counter2 = EARLY_PLANES + (j - EARLY_PLANES) / COUNTER_PLANES;
        struct philox_plane plane[CHAINS];
        size_t left = 0;

        for (uint32_t c = 0; c < CHAINS; c++)
            plane[c] = philox_plane(s, (uint32_t)(first >> 32), counter2 + c);
        memset(list.open + found, 0, LANES * sizeof *list.open); /* lanes that are not filled */
        for (size_t i = 0; i < found; i += LANES) {
            const size_t filled = found - i < LANES ? found - i : LANES;
            uint32_t k[LANES], o[LANES];

            late_block(s, plane, j, (uint32_t)first, &list, i, k, o, step, work);
            pause(work);
            for (size_t w = 0; w < filled; w++) {
                uint8_t *word = keep + 4 * list.at[i + w];

                store_le32(word, load_le32(word) | k[w] | (last ? o[w] : 0));
            }
            if (!last)
                left = open_words_append(&list, left, list.at + i, o);
        }
        found = left;
    }
}

#endif
