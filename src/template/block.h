/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One block of 128 elements by itself, where a run would be mostly in vain: its early planes, and
 * the first late planes of its 4 words, run together, each in a lane of its own. Nothing branches
 * on a random bit unless an element is open after all of these.
 */
#ifndef BITDROP_TEMPLATE_BLOCK_H
#define BITDROP_TEMPLATE_BLOCK_H

#include "template/late.h"

enum {
    BLOCK_WORDS = BLOCK_ELEMENTS / WORD_ELEMENTS,
    BLOCK_LATE_COUNTERS = 2, /* 8 late planes: 1 block in 512 has more to do */
    BLOCK_LATE_LANES = BLOCK_LATE_COUNTERS * BLOCK_WORDS,
    BLOCK_PLANES = EARLY_PLANES + BLOCK_LATE_COUNTERS * COUNTER_PLANES
};

/* keep and open bits of a block, in the order of memory. Where LANES > 1, that is little-endian. */
struct block_bits {
    uint64_t keep[2], open[2];
};

static inline void compare_block(struct block_bits *b, const void *random, bool threshold_bit)
{
    for (int half = 0; half < 2; half++) {
        uint64_t r;

        memcpy(&r, (const unsigned char *)random + half * sizeof r, sizeof r);
        b->keep[half] |= threshold_bit ? 0 : b->open[half] & r;
        b->open[half] &= threshold_bit ? r : ~r;
    }
}

/* Plane j of block g at random + j * BLOCK_BYTES. */
static inline void block_early(const struct bitdrop_stream *s, uint64_t g,
                               uint8_t random[EARLY_PLANES * BLOCK_BYTES])
{
    const uint32_t *last = s->key[s->rounds - 1];

    for (unsigned j = 0; j < EARLY_PLANES; j += LANES) {
        vec c[4] = {vec_set1((uint32_t)g), vec_set1((uint32_t)(g >> 32)), vec_blocks(j),
                    vec_set1(s->stream)};
        vec packed[VECS];

        for (unsigned r = 0; r < s->rounds - 1; r++)
            philox_round(s->key[r], c);
        vec_mul_pack(c[2], PHILOX_M1, c[1], &last[0], packed);
        vec_mul_pack(c[0], PHILOX_M0, c[3], &last[1], packed + VECS / 2);
        vec_planes_store(random + j * BLOCK_BYTES, packed);
    }
}

/* Late plane EARLY_PLANES + 4 k + q of block g at random[q] + 4 k, a word for each of its words. */
static inline void block_late(const struct bitdrop_stream *s, uint64_t g,
                              uint32_t random[COUNTER_PLANES][BLOCK_LATE_LANES])
{
    uint32_t word[BLOCK_LATE_LANES], counter2[BLOCK_LATE_LANES];

    for (uint32_t i = 0; i < BLOCK_LATE_LANES; i++) {
        word[i] = (uint32_t)g * BLOCK_WORDS + i % BLOCK_WORDS;
        counter2[i] = EARLY_PLANES + i / BLOCK_WORDS;
    }
    for (unsigned i = 0; i < BLOCK_LATE_LANES; i += LANES) {
        vec c[4] = {vec_load(word + i), vec_set1((uint32_t)(g * BLOCK_WORDS >> 32)),
                    vec_load(counter2 + i), vec_set1(s->stream)};

        for (unsigned r = 0; r < s->rounds; r++)
            philox_round(s->key[r], c);
        for (int q = 0; q < COUNTER_PLANES; q++)
            vec_store(random[q] + i, c[q]);
    }
}

/* The planes behind BLOCK_PLANES, where few blocks get to. Its lists would fill the stack of all.
 */
NOINLINE void block_rest(const struct bitdrop_stream *s, uint64_t g, const uint64_t block_open[2],
                         uint8_t keep[BLOCK_BYTES])
{
    uint8_t k[RUN_BYTES] = {0}, open[RUN_BYTES] = {0};
    struct open_words list[2];

    memcpy(open, block_open, BLOCK_BYTES);
    late_rest(s, g * BLOCK_WORDS, BLOCK_PLANES, k, &list[0],
              open_words_gather(&list[0], 0, 0, open), &list[1], no_hook, no_hook, NULL);
    for (int i = 0; i < BLOCK_BYTES; i++)
        keep[i] |= k[i];
}

/* The keep bits of block g. */
static inline void make_block(const struct bitdrop_stream *s, uint64_t g, uint8_t keep[BLOCK_BYTES])
{
    const unsigned early = s->planes < EARLY_PLANES ? s->planes : EARLY_PLANES;
    uint8_t random[EARLY_PLANES * BLOCK_BYTES];
    uint32_t late[COUNTER_PLANES][BLOCK_LATE_LANES];
    struct block_bits b = {{0, 0}, {UINT64_MAX, UINT64_MAX}};

    block_early(s, g, random);
    for (unsigned j = 0; j < early; j++)
        compare_block(&b, random + j * BLOCK_BYTES, bitdrop_threshold_bit(s, j));
    if (s->planes > EARLY_PLANES) {
        block_late(s, g, late);
        for (unsigned j = EARLY_PLANES; j < BLOCK_PLANES; j++)
            compare_block(
                &b, late[j % COUNTER_PLANES] + (j - EARLY_PLANES) / COUNTER_PLANES * BLOCK_WORDS,
                bitdrop_threshold_bit(s, j));
    }
    if (s->planes <= BLOCK_PLANES) /* what is open equals T, and keeps */
        for (int half = 0; half < 2; half++)
            b.keep[half] |= b.open[half];
    memcpy(keep, b.keep, BLOCK_BYTES);
    if (s->planes > BLOCK_PLANES && (b.open[0] | b.open[1]) != 0)
        block_rest(s, g, b.open, keep);
}

#endif
