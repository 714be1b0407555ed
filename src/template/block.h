/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes single blocks of 128 elements, where most of a segment would not be needed. Lanes run
 * different planes of one block: first its early planes, then the first late planes of its 4 words.
 * One branch depends on random bits: is an element still open after these planes?
 *
 * Include the vec.h of an ISA first. It defines what planes.h and late.h need.
 */
#ifndef BITDROP_TEMPLATE_BLOCK_H
#define BITDROP_TEMPLATE_BLOCK_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include "template/late.h"

enum {
    BLOCK_LATE_COUNTERS = 2, /* 8 late planes: after them 1 block in 512 is still open */
    BLOCK_LATE_LANES = BLOCK_LATE_COUNTERS * BLOCK_WORDS, /* a Philox block in each */
    BLOCK_PLANES = EARLY_PLANES + BLOCK_LATE_COUNTERS * COUNTER_PLANES
};

/* A bit for each element of a block, in the order of memory. */
typedef uint64_t block_bits __attribute__((vector_size(BLOCK_BYTES)));
typedef int64_t block_signs __attribute__((vector_size(BLOCK_BYTES)));

/*
 * Compares the next plane, as compare_plane does. The bit of T is the highest bit of each half of
 * *threshold. There is no branch on it: few blocks follow one another, so it would be mispredicted.
 */
static inline void compare_block(block_bits *keep, block_bits *open, block_bits *threshold,
                                 const void *random)
{
    const block_bits bit = (block_bits)((block_signs)*threshold < 0);
    block_bits r;

    memcpy(&r, random, sizeof r);
    *keep |= *open & r & ~bit;
    *open &= ~(r ^ bit);
    *threshold += *threshold;
}

/* Makes the random bits of the early planes of block g: plane j at random + j * BLOCK_BYTES. */
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

/*
 * Makes the random bits of the first late planes of block g: those of plane EARLY_PLANES + 4 k + q
 * are the BLOCK_WORDS words at random[q] + 4 k.
 */
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

/*
 * Compares the planes from BLOCK_PLANES on, which few blocks need. block_open has the open
 * elements. Not inlined, because its lists would make the stack frame of each caller larger.
 */
NOINLINE void block_rest(const struct bitdrop_stream *s, uint64_t g, const uint64_t block_open[2],
                         uint8_t keep[BLOCK_BYTES])
{
    const struct blocks block = {g, NULL};
    uint8_t k[SEGMENT_BYTES] = {0}, open[SEGMENT_BYTES] = {0};
    struct open_words list[2];

    memcpy(open, block_open, BLOCK_BYTES);
    late_rest(s, &block, BLOCK_PLANES, k, &list[0], open_words_gather(&list[0], 0, 0, open),
              &list[1], no_hook, no_hook, NULL);
    for (int i = 0; i < BLOCK_BYTES; i++)
        keep[i] |= k[i];
}

/* The random bits of a block. */
struct block_random {
    uint8_t early[EARLY_PLANES * BLOCK_BYTES];
    uint32_t late[COUNTER_PLANES][BLOCK_LATE_LANES];
};

/* Late planes are made only if T has any. */
static inline void block_make_random(const struct bitdrop_stream *s, uint64_t g,
                                     struct block_random *random)
{
    block_early(s, g, random->early);
    if (s->planes > EARLY_PLANES)
        block_late(s, g, random->late);
}

/* Compares the random bits of block g with T, and stores its keep bits. */
static inline void block_compare(const struct bitdrop_stream *s, uint64_t g,
                                 const struct block_random *random, uint8_t keep[BLOCK_BYTES])
{
    const unsigned early = s->planes < EARLY_PLANES ? s->planes : EARLY_PLANES;
    block_bits k = {0, 0}, open = {UINT64_MAX, UINT64_MAX}, t = {s->threshold, s->threshold};

    for (unsigned j = 0; j < early; j++)
        compare_block(&k, &open, &t, random->early + j * BLOCK_BYTES);
    if (s->planes > EARLY_PLANES)
        for (unsigned j = 0; j < BLOCK_PLANES - EARLY_PLANES; j++)
            compare_block(&k, &open, &t,
                          random->late[j % COUNTER_PLANES] + j / COUNTER_PLANES * BLOCK_WORDS);
    if (s->planes <= BLOCK_PLANES) /* open elements are equal to T: kept */
        k |= open;
    memcpy(keep, &k, BLOCK_BYTES);
    if (s->planes > BLOCK_PLANES && (open[0] | open[1]) != 0)
        block_rest(s, g, (const uint64_t[2]){open[0], open[1]}, keep);
}

/* Makes the keep bits of the first `count` blocks, two at a time to hide latency. */
static inline void make_blocks(const struct bitdrop_stream *s, const struct blocks *blocks,
                               size_t count, uint8_t *keep)
{
    struct block_random random[2];

    for (size_t i = 0; i < count; i += 2, keep += 2 * BLOCK_BYTES) {
        const bool both = count - i > 1;
        const uint64_t g = blocks_number(blocks, i);
        const uint64_t next = both ? blocks_number(blocks, i + 1) : 0;

        block_make_random(s, g, &random[0]);
        if (both)
            block_make_random(s, next, &random[1]);
        block_compare(s, g, &random[0], keep);
        if (both)
            block_compare(s, next, &random[1], keep + BLOCK_BYTES);
    }
}

#endif
