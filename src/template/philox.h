/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Philox4x32 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11)
 * over vectors: LANES blocks at a time, one in each lane, CHAINS such vectors side by side so that
 * one hides the other's latency.
 *
 * The includer's vec.h defines LANES, CHAINS, vec and vec_set1, vec_xor, vec_xor_key, vec_mul.
 *
 * Only counter word 0 differs between lanes, and words 1 to 3 are known before. So what the first
 * two rounds make of word 0 is computed once for all planes of a segment (philox_lanes), what they
 * make of words 1 to 3 is scalar (philox_plane), and a block costs rounds - 2 rounds of vector
 * work.
 */
#ifndef BITDROP_TEMPLATE_PHILOX_H
#define BITDROP_TEMPLATE_PHILOX_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include "stream.h"
#include "template/work.h"

/*
 * Rounds from one step to the next: with ten rounds and all early planes there are about as many
 * steps in a segment as it has strips.
 */
enum {
    STEP_ROUNDS =
        EARLY_PLANES * (PHILOX_MAX_ROUNDS - 2) * WORD_ELEMENTS / (CHAINS * LANES * BLOCK_ELEMENTS)
};

/* Rounds 1 and 2 of counter word 0, the part that is the same for every plane. */
struct philox_lanes {
    vec c0, c1, c2; /* state after round 2, but for the words of struct philox_plane */
};

/* Rounds 1 and 2 of counter words 1 and 2, the part that is the same in every lane. */
struct philox_plane {
    uint32_t c0, c2; /* to be xored into the lanes' */
    uint32_t c3;     /* xored with the key that it meets in round 3 */
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
        .c3 = (uint32_t)m0 ^ s->key[2][1],
    };
}

FORCE_INLINE void philox_step(int round, work_hook *step, struct work *work)
{
    if (round % STEP_ROUNDS == 0)
        step(work);
}

/* Round 3 of the blocks of one vector: the state c after it. */
FORCE_INLINE void philox_start(const struct philox_lanes *lanes, const struct philox_plane *plane,
                               const uint32_t key[2], vec c[4])
{
    vec hi0, hi1;

    vec_mul(vec_xor(lanes->c0, vec_set1(plane->c0)), PHILOX_M0, &hi0, &c[3]);
    vec_mul(vec_xor(lanes->c2, vec_set1(plane->c2)), PHILOX_M1, &hi1, &c[1]);
    c[0] = vec_xor_key(hi1, lanes->c1, &key[0]);
    c[2] = vec_xor(hi0, vec_set1(plane->c3));
}

FORCE_INLINE void philox_round(const uint32_t key[2], vec c[4])
{
    vec hi0, lo0, hi1, lo1;

    vec_mul(c[0], PHILOX_M0, &hi0, &lo0);
    vec_mul(c[2], PHILOX_M1, &hi1, &lo1);
    c[0] = vec_xor_key(hi1, c[1], &key[0]);
    c[1] = lo1;
    c[2] = vec_xor_key(hi0, c[3], &key[1]);
    c[3] = lo0;
}

/*
 * The state of all chains, each of lanes[i] and plane[i], after all rounds but the last, with a
 * step after every STEP_ROUNDS rounds. *rounds is s->rounds, or the same as a constant; it is read
 * where it is needed, because a copy would take a register from the state.
 */
FORCE_INLINE void philox_before_last(const struct bitdrop_stream *s, const unsigned *rounds,
                                     const struct philox_lanes lanes[CHAINS],
                                     const struct philox_plane *const plane[CHAINS],
                                     vec c[CHAINS][4], work_hook *step, struct work *work)
{
    for (int i = 0; i < CHAINS; i++)
        philox_start(&lanes[i], plane[i], s->key[2], c[i]);
    philox_step(2, step, work);
#pragma GCC unroll 3
    for (int r = 3; r < 6; r++) {
        for (int i = 0; i < CHAINS; i++)
            philox_round(s->key[r], c[i]);
        philox_step(r, step, work);
    }
    if (*rounds == PHILOX_MAX_ROUNDS) {
#pragma GCC unroll 3
        for (int r = 6; r < PHILOX_MAX_ROUNDS - 1; r++) {
            for (int i = 0; i < CHAINS; i++)
                philox_round(s->key[r], c[i]);
            philox_step(r, step, work);
        }
    }
}

#endif
