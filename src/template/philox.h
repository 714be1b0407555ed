/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Philox4x32 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11)
 * over vectors: LANES blocks at a time, one in each lane, CHAINS such vectors side by side so that
 * one hides the other's latency.
 *
 * The includer's vec.h defines LANES, CHAINS, vec and vec_set1, vec_xor, vec_xor_key, vec_mul.
 *
 * Only counter word 0 differs between lanes, and words 1 to 3 are known before. So what the first
 * two rounds make of word 0 is computed once for all planes of a run (philox_lanes), what they
 * make of words 1 to 3 is scalar (philox_plane), and a block costs rounds - 2 rounds of vector
 * work.
 */
#ifndef BITDROP_TEMPLATE_PHILOX_H
#define BITDROP_TEMPLATE_PHILOX_H

#include "stream.h"

/* Rounds 1 and 2 of counter word 0, the part that is the same for every plane. */
struct philox_lanes {
    vec c0, c1, c2; /* state after round 2, but for the words of struct philox_plane */
};

/* Rounds 1 and 2 of counter words 1 and 2, the part that is the same in every lane. */
struct philox_plane {
    uint32_t c0, c2; /* to be xored into the lanes' */
    uint32_t c3;
};

static inline struct philox_lanes philox_lanes(const struct bitdrop_stream *s, vec counter0)
{
    struct philox_lanes out;
    vec c2;

    vec_mul(counter0, PHILOX_M0, &c2, &out.c2); /* c2 now, and c3 now = the low half of c2 next */
    c2 = vec_xor(c2, vec_set1(s->stream ^ s->key[0][1]));
    vec_mul(c2, PHILOX_M1, &out.c0, &out.c1);
    return out;
}

static inline struct philox_plane philox_plane(const struct bitdrop_stream *s, uint32_t counter1,
                                               uint32_t counter2)
{
    const uint64_t m1 = (uint64_t)PHILOX_M1 * counter2;
    const uint32_t c0 = (uint32_t)(m1 >> 32) ^ counter1 ^ s->key[0][0];
    const uint64_t m0 = (uint64_t)PHILOX_M0 * c0;

    return (struct philox_plane){
        .c0 = (uint32_t)m1 ^ s->key[1][0],
        .c2 = (uint32_t)(m0 >> 32) ^ s->key[1][1],
        .c3 = (uint32_t)m0,
    };
}

/* out[chain][word]: the blocks of all lanes, for s->rounds rounds. */
static inline void philox_blocks(const struct bitdrop_stream *s,
                                 const struct philox_lanes lanes[CHAINS],
                                 const struct philox_plane *plane, vec out[CHAINS][4])
{
    for (int i = 0; i < CHAINS; i++) {
        out[i][0] = vec_xor(lanes[i].c0, vec_set1(plane->c0));
        out[i][1] = lanes[i].c1;
        out[i][2] = vec_xor(lanes[i].c2, vec_set1(plane->c2));
        out[i][3] = vec_set1(plane->c3);
    }
    for (unsigned r = 2; r < s->rounds; r++) {
        for (int i = 0; i < CHAINS; i++) {
            vec hi0, lo0, hi1, lo1;

            vec_mul(out[i][0], PHILOX_M0, &hi0, &lo0);
            vec_mul(out[i][2], PHILOX_M1, &hi1, &lo1);
            out[i][0] = vec_xor_key(hi1, out[i][1], &s->key[r][0]);
            out[i][1] = lo1;
            out[i][2] = vec_xor_key(hi0, out[i][3], &s->key[r][1]);
            out[i][3] = lo0;
        }
    }
}

#endif
