/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Part of a vec.h: functions of the vocabulary in plain C, for ISAs that have nothing faster. Their
 * vec must have lanes of 32 bits, so that each vec is a full vector.
 *
 * The vec.h has defined vec, LANES, CHAINS, vec_blocks, vec_load and vec_store.
 */
#ifndef BITDROP_TEMPLATE_PLAIN_H
#define BITDROP_TEMPLATE_PLAIN_H

#ifndef BITDROP_VEC_H
#error "only a vec.h includes this file"
#endif

#include "template/bits.h"

enum { FULL_LANES = LANES };

static inline void full_spread(const vec full[CHAINS], vec lanes[CHAINS])
{
    for (int c = 0; c < CHAINS; c++)
        lanes[c] = full[c];
}

static inline void full_join(const vec lanes[CHAINS], vec full[CHAINS])
{
    full_spread(lanes, full);
}

static inline vec full_load(const uint32_t *p) { return vec_load(p); }
static inline void full_store(uint32_t *p, vec a) { vec_store(p, a); }
static inline vec full_index(uint32_t first) { return vec_blocks(first); }

static inline vec full_words(const uint32_t *blocks, vec at)
{
    uint32_t word[LANES];

    vec_store(word, at);
    for (int i = 0; i < LANES; i++)
        word[i] = blocks[word[i] / 4] * 4 + word[i] % 4;
    return vec_load(word);
}

static inline vec full_load_bytes(const uint8_t *p)
{
    uint32_t word[LANES];

    for (int i = 0; i < LANES; i++)
        word[i] = load_le32(p + (size_t)4 * i);
    return vec_load(word);
}

static inline size_t full_pick(uint32_t *at, uint32_t *open, vec index, vec words)
{
    uint32_t from[LANES], word[LANES];
    size_t found = 0;

    vec_store(from, index);
    vec_store(word, words);
    for (int i = 0; i < LANES; i++) {
        at[found] = from[i];
        open[found] = word[i];
        found += word[i] != 0;
    }
    return found;
}

/*
 * Copies n elements of `size` bytes from p to a buffer of `bytes` bytes. The rest of the buffer
 * repeats the first element, so that it raises no floating-point exception of its own.
 */
static inline void copy_partial(unsigned char *buffer, size_t bytes, const void *p, size_t n,
                                size_t size)
{
    for (size_t at = 0; at < bytes; at += size)
        memcpy(buffer + at, p, size);
    memcpy(buffer, p, n * size);
}

/*
 * Defines <dtype>_load_partial and <dtype>_store_partial, which go through a buffer. An element has
 * `size` bytes.
 */
#define PLAIN_PARTIAL(dtype, size)                                                                 \
    static inline dtype##_vec dtype##_load_partial(const void *p, size_t n)                        \
    {                                                                                              \
        unsigned char buffer[dtype##_LANES * (size)];                                              \
                                                                                                   \
        if (n >= dtype##_LANES)                                                                    \
            return dtype##_load(p);                                                                \
        copy_partial(buffer, sizeof buffer, p, n, size);                                           \
        return dtype##_load(buffer);                                                               \
    }                                                                                              \
    static inline void dtype##_store_partial(void *p, dtype##_packed a, size_t n)                  \
    {                                                                                              \
        unsigned char buffer[dtype##_LANES * (size)];                                              \
                                                                                                   \
        dtype##_store(n >= dtype##_LANES ? p : buffer, a);                                         \
        if (n < dtype##_LANES)                                                                     \
            memcpy(p, buffer, sizeof buffer / dtype##_LANES * n);                                  \
    }

#endif
