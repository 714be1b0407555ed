/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gathers the words that still have open elements into arrays, for the late planes. These are words
 * of the blocks that are made together (struct blocks), and are counted from the first of them.
 *
 * Include the vec.h of an ISA first. It defines, beyond what planes.h needs, FULL_LANES,
 * full_load_bytes, full_index and full_pick.
 */
#ifndef BITDROP_TEMPLATE_OPEN_WORDS_H
#define BITDROP_TEMPLATE_OPEN_WORDS_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include "template/planes.h"

enum {
    TILE_WORDS = TILE_ELEMENTS / WORD_ELEMENTS,
    SEGMENT_WORDS = SEGMENT_BYTES / 4,
    LATE_WORDS = CHAINS * LANES,    /* words whose late planes are made together */
    FULLS = LATE_WORDS / FULL_LANES /* full vectors that hold them */
};
_Static_assert(FULLS *FULL_LANES == LATE_WORDS, "full vectors have no empty lanes");

/* A list of words. full_pick and open_words_pad also write entries after its end. */
struct open_words {
    uint32_t at[TILE_WORDS + LATE_WORDS];   /* index of the word: 0 is the first that is made */
    uint32_t open[TILE_WORDS + LATE_WORDS]; /* 1 bits: elements that are open */
};

/*
 * Appends those of the words `open` that are not 0 to a list of `count` entries. Returns how many
 * entries it has then.
 */
FORCE_INLINE size_t open_words_append(struct open_words *list, size_t count, vec at, vec open)
{
    return count + full_pick(list->at + count, list->open + count, at, open);
}

/* Appends the words of a segment likewise. Its first word has index `first`. */
FORCE_INLINE size_t open_words_gather(struct open_words *list, size_t count, uint32_t first,
                                      const uint8_t *open)
{
    for (uint32_t i = 0; i < SEGMENT_WORDS; i += FULL_LANES)
        count = open_words_append(list, count, full_index(first + i),
                                  full_load_bytes(open + (size_t)4 * i));
    return count;
}

/* Writes words of 0 after the first `count`, because up to LATE_WORDS entries are read at once. */
FORCE_INLINE void open_words_pad(struct open_words *list, size_t count)
{
    for (uint32_t i = 0; i < LATE_WORDS; i++) {
        list->at[count + i] = i; /* different words: each store to one word waits for the last */
        list->open[count + i] = 0;
    }
}

#endif
