/* SPDX-License-Identifier: Apache-2.0 */
/* Words of the vocabulary in plain C, for ISAs that have nothing better. */
#ifndef BITDROP_TEMPLATE_PLAIN_H
#define BITDROP_TEMPLATE_PLAIN_H

#include "template/bits.h"

static inline uint64_t words_open(const uint8_t *open)
{
    uint64_t which = 0;

    for (int i = 0; i < 64; i++)
        which |= (uint64_t)(load_le32(open + 4 * i) != 0) << i;
    return which;
}

/*
 * n elements at p in a buffer of `bytes`, the rest of which repeats the first of them, so that it
 * raises nothing that the data does not.
 */
static inline void copy_few(unsigned char *buffer, size_t bytes, const void *p, size_t n,
                            size_t size)
{
    for (size_t at = 0; at < bytes; at += size)
        memcpy(buffer + at, p, size);
    memcpy(buffer, p, n * size);
}

/* <dtype>_load_few and <dtype>_store_few through a buffer, of elements of `size` bytes. */
#define PLAIN_FEW(dtype, size)                                                                     \
    static inline dtype##_vec dtype##_load_few(const void *p, size_t n)                            \
    {                                                                                              \
        unsigned char buffer[dtype##_LANES * (size)];                                              \
                                                                                                   \
        if (n >= dtype##_LANES)                                                                    \
            return dtype##_load(p);                                                                \
        copy_few(buffer, sizeof buffer, p, n, size);                                               \
        return dtype##_load(buffer);                                                               \
    }                                                                                              \
    static inline void dtype##_store_few(void *p, dtype##_packed a, size_t n)                      \
    {                                                                                              \
        unsigned char buffer[dtype##_LANES * (size)];                                              \
                                                                                                   \
        dtype##_store(n >= dtype##_LANES ? p : buffer, a);                                         \
        if (n < dtype##_LANES)                                                                     \
            memcpy(p, buffer, n *(size));                                                          \
    }

#endif
