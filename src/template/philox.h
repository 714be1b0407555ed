/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Philox4x32 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11)
 * over vectors: one block in each lane, and CHAINS vectors side by side to hide latency.
 *
 * Only counter word 0 differs between lanes. In rounds 1 and 2, words 0 and 3 meet words 1 and 2
 * only by xor. The part that depends on words 0 and 3 is computed once for all planes of a segment
 * (philox_lanes). The part that depends on words 1 and 2 is scalar (philox_plane). Each block then
 * costs rounds - 2 rounds of vector work.
 *
 * Include the vec.h of an ISA first. It defines LANES, CHAINS, vec and vec_set1, vec_xor,
 * vec_xor_key, vec_mul.
 */
#ifndef BITDROP_TEMPLATE_PHILOX_H
#define BITDROP_TEMPLATE_PHILOX_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include "stream.h"
#include "template/work.h"

/*
 * Rounds from one step to the next. With ten rounds and all early planes, a segment has about as
 * many steps as strips.
 */
enum {
    STEP_ROUNDS =
        EARLY_PLANES * (PHILOX_MAX_ROUNDS - 2) * WORD_ELEMENTS / (CHAINS * LANES * BLOCK_ELEMENTS)
};

/* Rounds 1 and 2 of counter words 0 and 3, the part that is the same for every plane. */
struct philox_lanes {
    vec c0, c1, c2; /* state after round 2, before struct philox_plane is xored in */
};

/* Rounds 1 and 2 of counter words 1 and 2, the part that is the same in every lane. */
struct philox_plane {
    uint32_t c0, c2; /* to be xored into c0 and c2 of struct philox_lanes */
    uint32_t c3;     /* the key of round 3 is already xored in */
};

static inline struct philox_lanes philox_lanes(const struct bitdrop_stream *s, vec counter0)
{
    struct philox_lanes out;
    vec c2;

    vec_mul(counter0, PHILOX_M0, &c2, &out.c2); /* round 1; its c3 is xored into c2 in round 2 */
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

/* Sets c to the state of the blocks of one vector after round 3. */
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
 * Sets c[i] to the state of chain i after all rounds except the last. The chain begins with
 * lanes[i] and plane[i]. Calls step after every STEP_ROUNDS rounds. *rounds is s->rounds, or a
 * constant that equals it. It is read late, because a copy would occupy a register that the state
 * needs.
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
