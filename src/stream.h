/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mask stream in numbers: constants and rules of docs/stream.md that are the same on every ISA.
 *
 * A tile is the unit of generation: TILE_ELEMENTS elements, from an absolute index on that is a
 * multiple of TILE_ELEMENTS. Within a tile counter word 0 never carries into word 1. A tile is
 * large enough to fill the vectors of the late planes: after the early planes, 1 word in 8 has an
 * element that is open, which means not decided yet.
 */
#ifndef BITDROP_STREAM_H
#define BITDROP_STREAM_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TILE_ELEMENTS = 8192,
    TILE_BYTES = TILE_ELEMENTS / 8,
    BLOCK_ELEMENTS = 128, /* of one early plane: a Philox block is 4 words of 32 bits */
    BLOCK_BYTES = BLOCK_ELEMENTS / 8,
    WORD_ELEMENTS = 32, /* of a late block, whose 4 words are 4 planes */
    EARLY_PLANES = 8,
    PLANES = 64,
    NOISE_COUNTER = 256, /* counter word 2 of Gaussian noise */
    PHILOX_MAX_ROUNDS = 10
};

#define PHILOX_M0 UINT32_C(0xD2511F53)
#define PHILOX_M1 UINT32_C(0xCD9E8D57)
#define PHILOX_W0 UINT32_C(0x9E3779B9)
#define PHILOX_W1 UINT32_C(0xBB67AE85)

struct bitdrop_stream {
    uint64_t threshold; /* T = floor(p * 2^64); not used if drop_all is set */
    bool drop_all;      /* p = 1: T would be 2^64 */
    unsigned planes;    /* planes down to the lowest 1 of T. What is open after them is kept */
    unsigned rounds;
    uint32_t stream;
    uint32_t key[PHILOX_MAX_ROUNDS][2]; /* of each round */
};

static inline struct bitdrop_stream bitdrop_stream_make(uint64_t seed, uint32_t stream,
                                                        unsigned rounds, double p)
{
    struct bitdrop_stream s = {.stream = stream, .rounds = rounds, .drop_all = p >= 1};

    for (uint32_t r = 0; r < PHILOX_MAX_ROUNDS; r++) {
        s.key[r][0] = (uint32_t)seed + r * PHILOX_W0;
        s.key[r][1] = (uint32_t)(seed >> 32) + r * PHILOX_W1;
    }
    if (!s.drop_all) { /* in two exact halves: a conversion to 64 bits may raise FE_INVALID */
        const double high = p * 0x1p32;
        const uint32_t whole = (uint32_t)high;

        s.threshold = (uint64_t)whole << 32 | (uint32_t)((high - whole) * 0x1p32);
    }
    if (s.threshold != 0)
        s.planes = PLANES - (unsigned)__builtin_ctzll(s.threshold);
    return s;
}

/* The bit of T that plane j is compared with. */
static inline bool bitdrop_threshold_bit(const struct bitdrop_stream *s, unsigned j)
{
    return s->threshold >> (PLANES - 1 - j) & 1;
}

#endif
