/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The late planes: after the 8 early ones about 1 element in 256 is still open, in about 1 mask
 * word of 32 in 8. Those words are gathered and run CHAINS * LANES at a time, 4 planes a Philox
 * block.
 *
 * The includer's vec.h defines, beyond what planes.h needs, vec_load, vec_store, vec_any and
 * open_words.
 */
#ifndef BITDROP_TEMPLATE_LATE_H
#define BITDROP_TEMPLATE_LATE_H

#include "template/bits.h"
#include "template/planes.h"

enum {
    TILE_WORDS = TILE_ELEMENTS / WORD_ELEMENTS,
    LATE_WORDS = CHAINS * LANES, /* run together */
    LATE_PLANES = 4              /* of one Philox block */
};

/* Decides the open elements of LATE_WORDS words: words[i] = index / 32, keep and open in place. */
static inline void late_planes(const struct bitdrop_stream *s, uint32_t words_hi,
                               const uint32_t words[LATE_WORDS], uint32_t keep[LATE_WORDS],
                               const uint32_t open[LATE_WORDS])
{
    struct philox_lanes lanes[CHAINS];
    vec k[CHAINS], o[CHAINS];

    for (int i = 0; i < CHAINS; i++) {
        lanes[i] = philox_lanes(s, vec_load(words + i * LANES));
        k[i] = vec_load(keep + i * LANES);
        o[i] = vec_load(open + i * LANES);
    }
    for (unsigned j = EARLY_PLANES; j < s->planes; j += LATE_PLANES) {
        const uint32_t counter2 = EARLY_PLANES + (j - EARLY_PLANES) / LATE_PLANES;
        const struct philox_plane plane = philox_plane(s, words_hi, counter2);
        vec random[CHAINS][4];
        bool any = false;

        philox_blocks(s, lanes, &plane, random);
        for (int i = 0; i < CHAINS; i++) {
            for (unsigned q = 0; q < LATE_PLANES; q++)
                compare_plane(&k[i], &o[i], random[i][q], bitdrop_threshold_bit(s, j + q));
            any |= vec_any(o[i]);
        }
        if (!any)
            break;
    }
    for (int i = 0; i < CHAINS; i++)
        vec_store(keep + i * LANES, vec_or(k[i], o[i])); /* what is left equals T: it keeps */
}

/*
 * Runs the late planes for the words of a tile that have open elements. first is the absolute index
 * / 32 of the word that keep and open begin with; count words of them are looked at. The word after
 * these is overwritten in both: it stands for the lanes that are not filled.
 */
static inline void close_words(const struct bitdrop_stream *s, uint64_t first, size_t count,
                               uint8_t *keep, uint8_t *open)
{
    uint32_t at[TILE_WORDS + OPEN_WORDS_SLACK + LATE_WORDS];
    const size_t found = open_words(open, count, at);

    store_le32(keep + 4 * count, 0);
    store_le32(open + 4 * count, 0);
    for (size_t i = 0; i < LATE_WORDS; i++)
        at[found + i] = (uint32_t)count;
    for (size_t i = 0; i < found; i += LATE_WORDS) {
        uint32_t words[LATE_WORDS], k[LATE_WORDS], o[LATE_WORDS];

        for (size_t j = 0; j < LATE_WORDS; j++) {
            words[j] = (uint32_t)first + at[i + j];
            k[j] = load_le32(keep + 4 * at[i + j]);
            o[j] = load_le32(open + 4 * at[i + j]);
        }
        late_planes(s, (uint32_t)(first >> 32), words, k, o);
        for (size_t j = 0; j < LATE_WORDS; j++)
            store_le32(keep + 4 * at[i + j], k[j]);
    }
}

#endif
