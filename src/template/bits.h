/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies and shifts bits in the format of the mask, in plain C: bit i is bit i % 8 of byte i / 8.
 * No function touches a byte after the one that holds its last bit, unless its comment says so.
 */
#ifndef BITDROP_TEMPLATE_BITS_H
#define BITDROP_TEMPLATE_BITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t load_le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void store_le32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

/* One access of 64 bits. Compilers do not always combine accesses to single bytes. */
static inline uint64_t load_le64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline void store_le64(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(p, &v, sizeof v);
}

static inline void or_le32(uint8_t *p, uint32_t v)
{
    uint32_t word;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    memcpy(&word, p, sizeof word);
    word |= v;
    memcpy(p, &word, sizeof word);
}

/* Returns bits i to i + 31. */
static inline uint32_t bits_32(const uint8_t *bits, size_t i)
{
    const unsigned phase = i % 8;
    const uint8_t *p = bits + i / 8;
    const uint64_t last = p[(phase + 31) / 8]; /* at phase 0 byte 3 again: its bits are cut off */

    return (uint32_t)((last << 32 | load_le32(p)) >> phase);
}

/* Returns bits i to i + n - 1, 0 < n < 32, and 0 above them. */
static inline uint32_t bits_word(const uint8_t *bits, size_t i, size_t n)
{
    const unsigned phase = i % 8;
    const uint8_t *p = bits + i / 8;
    const size_t last = (phase + n - 1) / 8;
    uint64_t out = p[0];

    for (size_t b = 1; b <= 4; b++) /* the last byte again in place of bytes after it */
        out |= (uint64_t)p[b < last ? b : last] << (8 * b);
    return (uint32_t)(out >> phase) & ((UINT32_C(1) << n) - 1);
}

/* Returns bits `phase` to `phase` + 63 of p, phase < 8. Reads 16 bytes. */
static inline uint64_t bits_64(const uint8_t *p, unsigned phase)
{
    return load_le64(p) >> phase | load_le64(p + 8) << 1 << (63 - phase);
}

/* Stores the lowest n bits of a number, 0 < n < 64, as (n + 7) / 8 bytes. */
static inline void bits_store_partial(uint8_t *dst, uint64_t bits, size_t n)
{
    const size_t bytes = (n + 7) / 8;

    bits &= UINT64_MAX >> (64 - n);
    if (bytes == 8) {
        store_le64(dst, bits);
        return;
    }
    if ((bytes & 4) != 0) {
        store_le32(dst, (uint32_t)bits);
        dst += 4;
        bits >>= 32;
    }
    if ((bytes & 2) != 0) {
        dst[0] = (uint8_t)bits;
        dst[1] = (uint8_t)(bits >> 8);
        dst += 2;
        bits >>= 16;
    }
    if ((bytes & 1) != 0)
        dst[0] = (uint8_t)bits;
}

enum { BITS_COPY_MARGIN = 16 };

/*
 * Copies bits i to i + n - 1 of src to bits 0 to n - 1 of dst, and clears the rest of the last
 * byte. May read up to BITS_COPY_MARGIN bytes of src after the byte that holds the last bit.
 */
static inline void bits_copy(uint8_t *restrict dst, const uint8_t *restrict src, size_t i, size_t n)
{
    const unsigned phase = i % 8;
    const size_t whole = n / 64 * 8;

    src += i / 8;
    if (phase == 0 && whole >= 256) { /* a call of memcpy costs more than it saves on less */
        memcpy(dst, src, whole);
    } else {
        for (size_t b = 0; b < whole; b += 8)
            store_le64(dst + b, bits_64(src + b, phase));
    }
    if (n % 64 != 0)
        bits_store_partial(dst + whole, bits_64(src + whole, phase), n % 64);
}

/*
 * Appends bits i to i + n - 1 of src to a mask dst that holds d bits so far. In the byte that holds
 * bit d of dst, the bits from d on must be 0. Afterwards the rest of the last byte is 0 too.
 */
static __attribute__((noinline, unused)) void bits_append(uint8_t *dst, size_t d,
                                                          const uint8_t *src, size_t i, size_t n)
{
    dst += d / 8;
    if (d % 8 != 0 && n > 0) {
        const size_t free_bits = 8 - d % 8;
        const size_t fill = n < free_bits ? n : free_bits;

        *dst++ |= (uint8_t)(bits_word(src, i, fill) << (d % 8));
        i += fill;
        n -= fill;
    }
    if (i % 8 == 0) {
        memcpy(dst, src + i / 8, n / 8);
        dst += n / 8;
        i += n / 8 * 8;
        n %= 8;
    }
    for (src += i / 8, i %= 8; n >= 64; n -= 32, src += 4, dst += 4) /* i != 0 here */
        store_le32(dst, load_le32(src) >> i | load_le32(src + 4) << (32 - i));
    for (; n >= 32; n -= 32, src += 4, dst += 4)
        store_le32(dst, bits_32(src, i));
    if (n > 0) {
        const uint32_t rest = bits_word(src, i, n);

        for (size_t b = 0; 8 * b < n; b++)
            dst[b] = (uint8_t)(rest >> (8 * b));
    }
}

/* Appends the lowest n bits of a number likewise, n <= 32. */
static inline void bits_append_partial(uint8_t *dst, size_t d, uint32_t bits, size_t n)
{
    const unsigned phase = d % 8;
    const uint64_t shifted = (bits & ((UINT64_C(1) << n) - 1)) << phase;

    dst += d / 8;
    for (size_t b = 0; 8 * b < phase + n; b++)
        dst[b] = (uint8_t)((b == 0 && phase != 0 ? dst[0] : 0) | shifted >> (8 * b));
}

/* Appends all 32 bits of a number likewise. */
static inline void bits_append_word(uint8_t *dst, size_t d, uint32_t bits)
{
    const unsigned phase = d % 8;

    dst += d / 8;
    if (phase == 0) {
        store_le32(dst, bits);
    } else {
        dst[0] |= (uint8_t)(bits << phase);
        store_le32(dst + 1, bits >> (8 - phase));
    }
}

/*
 * Returns bits i to i + n - 1 of src, from the first bit of a byte on: a pointer into src if i is a
 * multiple of 8, or else a copy in buffer.
 */
static inline const uint8_t *bits_at_byte(const uint8_t *src, size_t i, size_t n, uint8_t *buffer)
{
    if (i % 8 == 0)
        return src + i / 8;
    bits_append(buffer, 0, src, i, n);
    return buffer;
}

#endif
