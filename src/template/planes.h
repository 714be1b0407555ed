/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The early planes: compares a segment, CHAINS * LANES blocks of 128 elements, with T. It compares
 * one plane after the other, from the highest bit of T down (docs/stream.md, "Keep or drop").
 *
 * Include the vec.h of an ISA first. It defines, beyond what philox.h needs, VECS, vec_blocks,
 * vec_mul_pack, vec_blocks_load, vec_planes_store, vec_and, vec_andnot, vec_or_and, vec_or.
 */
#ifndef BITDROP_TEMPLATE_PLANES_H
#define BITDROP_TEMPLATE_PLANES_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include "template/philox.h"

enum {
    TILE_BLOCKS = TILE_BYTES / BLOCK_BYTES,
    BLOCK_WORDS = BLOCK_ELEMENTS / WORD_ELEMENTS,
    SEGMENT_BLOCKS = CHAINS * LANES,
    SEGMENT_BYTES = SEGMENT_BLOCKS * BLOCK_BYTES
};

/*
 * Blocks that are made together: successive ones from block number `first` on, or those of a list.
 * list[i] has the low 32 bits of a number. Listed numbers may differ from `first` in the low 30
 * bits only. So counter word 1 is the same for all of them, also in late planes.
 */
struct blocks {
    uint64_t first;
    const uint32_t *list; /* NULL: successive blocks. Else an array for TILE_BLOCKS numbers */
};

/* The number of the i-th block. */
static inline uint64_t blocks_number(const struct blocks *b, size_t i)
{
    return b->list != NULL ? b->first >> 32 << 32 | b->list[i] : b->first + i;
}

/* The blocks from the i-th on. */
static inline struct blocks blocks_from(const struct blocks *b, size_t i)
{
    return b->list != NULL ? (struct blocks){b->first, b->list + i}
                           : (struct blocks){b->first + i, NULL};
}

/* Counter word 0 of each of LANES blocks, from the i-th on. */
static inline vec blocks_counters(const struct blocks *b, size_t i)
{
    if (b->list != NULL)
        return vec_blocks_load(b->list + i);
    return vec_blocks((uint32_t)b->first + (uint32_t)i);
}

/*
 * Compares one plane. An open element is decided if its random bit differs from the bit of T. If
 * the bit of T is 0, a random 1 keeps the element. If it is 1, a random 0 drops it. An open
 * element's bit in *keep is 0, before and after.
 */
static inline void compare_plane(vec *keep, vec *open, vec random, bool threshold_bit)
{
    if (threshold_bit) {
        *open = vec_and(*open, random);
    } else {
        *keep = vec_or_and(*keep, *open, random);
        *open = vec_andnot(*open, random);
    }
}

/*
 * Makes the random bits of one plane of a segment, and compares them. Calls step after every
 * STEP_ROUNDS rounds. `last` is the key of the last round. For *rounds see philox_before_last.
 */
FORCE_INLINE void early_plane(const struct bitdrop_stream *s, const unsigned *rounds,
                              const uint32_t last[2], const struct philox_lanes lanes[CHAINS],
                              const struct philox_plane *plane, bool threshold_bit,
                              vec keep[CHAINS][VECS], vec open[CHAINS][VECS], work_hook *step,
                              struct work *work)
{
    const struct philox_plane *planes[CHAINS];
    vec c[CHAINS][4];

    for (int i = 0; i < CHAINS; i++)
        planes[i] = plane;
    philox_before_last(s, rounds, lanes, planes, c, step, work);
    for (int i = 0; i < CHAINS; i++) {
        vec random[VECS];

        vec_mul_pack(c[i][2], PHILOX_M1, c[i][1], &last[0], random);
        vec_mul_pack(c[i][0], PHILOX_M0, c[i][3], &last[1], random + VECS / 2);
        for (int v = 0; v < VECS; v++)
            compare_plane(&keep[i][v], &open[i][v], random[v], threshold_bit);
    }
}

/*
 * Compares all early planes of SEGMENT_BLOCKS blocks, from the at-th of *blocks on. Stores their
 * keep bits in the order and format of the mask and, if T has late planes, their open elements
 * likewise. Calls pause after each plane.
 */
FORCE_INLINE void early_planes(const struct bitdrop_stream *s, const struct philox_plane *plane,
                               const struct blocks *blocks, size_t at, uint8_t *keep, uint8_t *open,
                               work_hook *step, work_hook *pause, struct work *work)
{
    const unsigned planes = s->planes < EARLY_PLANES ? s->planes : EARLY_PLANES;
    const uint32_t *last = s->key[s->rounds - 1];
    struct philox_lanes lanes[CHAINS];
    vec k[CHAINS][VECS], o[CHAINS][VECS];

    for (int i = 0; i < CHAINS; i++) {
        lanes[i] = philox_lanes(s, blocks_counters(blocks, at + (size_t)i * LANES));
        for (int v = 0; v < VECS; v++) {
            k[i][v] = vec_set1(0);
            o[i][v] = vec_set1(UINT32_MAX);
        }
    }
    for (unsigned j = 0; j < planes; j++) {
        early_plane(s, &s->rounds, last, lanes, &plane[j], bitdrop_threshold_bit(s, j), k, o, step,
                    work);
        pause(work);
    }
    for (int i = 0; i < CHAINS; i++) {
        if (s->planes > EARLY_PLANES)
            vec_planes_store(open + i * LANES * BLOCK_BYTES, o[i]);
        else
            for (int v = 0; v < VECS; v++)
                k[i][v] = vec_or(k[i][v], o[i][v]);
        vec_planes_store(keep + i * LANES * BLOCK_BYTES, k[i]);
    }
}

#endif
