/* SPDX-License-Identifier: Apache-2.0 */

/*
 * bitdrop/apply.h: masks in loops of your own.
 *
 * The calls of bitdrop.h fuse dropout with a bias, a residual, an activation, softmax or attention.
 * This header is for other loops, which apply a mask that bitdrop_mask or bitdrop_forward wrote.
 * Most compilers do not vectorize a loop over the bits of a mask, but they vectorize a loop over
 * 32-bit words. So these inline functions turn bits into words. They call no function of the
 * library, and this file may be copied by itself. It is C99 and C++.
 *
 * Words. bitdrop_keep_words() turns bits into 32-bit words: all ones where an element is kept, 0
 * where it is dropped. bitdrop_only_f32(word, v) is v or +0. Work in blocks, so that the words stay
 * in the L1 cache. y = D(f(x)) is
 *
 *     for (size_t i = 0; i < n; i += BITDROP_KEEP_BLOCK) {
 *         const size_t count = n - i < BITDROP_KEEP_BLOCK ? n - i : BITDROP_KEEP_BLOCK;
 *         uint32_t keep[BITDROP_KEEP_BLOCK];
 *
 *         bitdrop_keep_words(keep, mask, i, count);
 *         for (size_t k = 0; k < count; k++)
 *             y[i + k] = bitdrop_only_f32(keep[k], f(x[i + k]) * scale);
 *     }
 *
 * with scale = (float)(1 / (1 - p)) and x and y declared `restrict`. Do not write
 * keep[k] ? f(x[i + k]) * scale : 0, because compilers turn that into a branch.
 *
 * Vectors. In loops that are written with intrinsics, bitdrop_select_f32x4(v, mask, i), _f32x8 and
 * _f32x16 keep or clear the lanes of v by the mask bits from bit i on. f32x4 needs SSE2 or NEON,
 * f32x8 AVX2, and f32x16 AVX-512F. Each exists if the including file is compiled for that.
 *
 * A dropped element is cleared, not multiplied by 0. So it becomes +0 even if it is a NaN or an
 * infinity. Only those bytes of a mask are read that hold the bits of the call.
 */
#ifndef BITDROP_APPLY_H
#define BITDROP_APPLY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(BITDROP_APPLY_PLAIN) /* plain C only, for tests and measurements */
#elif defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

/* Elements of a block, whose words have 1 KiB. Other numbers work too. */
#define BITDROP_KEEP_BLOCK ((size_t)256)

/* v where the word is all ones, +0 where it is 0. */
static inline float bitdrop_only_f32(uint32_t keep, float v)
{
    uint32_t bits;

    memcpy(&bits, &v, sizeof bits);
    bits &= keep;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline double bitdrop_only_f64(uint32_t keep, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    bits &= keep | (uint64_t)keep << 32;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The same for the 16 bits of an f16 or a bf16. */
static inline uint16_t bitdrop_only_16(uint32_t keep, uint16_t v) { return (uint16_t)(v & keep); }

/* Vectors: lane k is kept if bit i + k of the mask is 1. i must be a multiple of the lanes. */

#if defined(BITDROP_APPLY_PLAIN)
#elif defined(__SSE2__)
static inline __m128i bitdrop_lanes_4(unsigned bits)
{
    const __m128i lane_bits = _mm_setr_epi32(1, 2, 4, 8);

    return _mm_cmpeq_epi32(_mm_and_si128(_mm_set1_epi32((int)bits), lane_bits), lane_bits);
}

static inline __m128 bitdrop_select_f32x4(__m128 v, const uint8_t *mask, size_t i)
{
    return _mm_and_ps(_mm_castsi128_ps(bitdrop_lanes_4((unsigned)mask[i / 8] >> i % 8)), v);
}

#elif defined(__ARM_NEON)
static inline uint32x4_t bitdrop_lanes_4(unsigned bits)
{
    static const uint32_t lane_bits[4] = {1, 2, 4, 8};

    return vtstq_u32(vdupq_n_u32(bits), vld1q_u32(lane_bits));
}

static inline float32x4_t bitdrop_select_f32x4(float32x4_t v, const uint8_t *mask, size_t i)
{
    const uint32x4_t lanes = bitdrop_lanes_4((unsigned)mask[i / 8] >> i % 8);

    return vreinterpretq_f32_u32(vandq_u32(lanes, vreinterpretq_u32_f32(v)));
}
#endif

#if defined(__AVX2__) && !defined(BITDROP_APPLY_PLAIN)
static inline __m256i bitdrop_lanes_8(unsigned bits)
{
    const __m256i lane_bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);

    return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)bits), lane_bits), lane_bits);
}

static inline __m256 bitdrop_select_f32x8(__m256 v, const uint8_t *mask, size_t i)
{
    return _mm256_and_ps(_mm256_castsi256_ps(bitdrop_lanes_8(mask[i / 8])), v);
}
#endif

#if defined(__AVX512F__) && !defined(BITDROP_APPLY_PLAIN)
static inline __m512 bitdrop_select_f32x16(__m512 v, const uint8_t *mask, size_t i)
{
    const unsigned bits = mask[i / 8] | (unsigned)mask[i / 8 + 1] << 8;

    return _mm512_maskz_mov_ps((__mmask16)bits, v);
}
#endif

/* keep[0] to keep[7] = the words of bits 0 to 7. */
static inline void bitdrop_keep_8(uint32_t *keep, unsigned bits)
{
#if defined(BITDROP_APPLY_PLAIN) || !(defined(__SSE2__) || defined(__ARM_NEON))
    for (int k = 0; k < 8; k++)
        keep[k] = 0 - (uint32_t)(bits >> k & 1);
#elif defined(__AVX2__)
    _mm256_storeu_si256((__m256i *)(void *)keep, bitdrop_lanes_8(bits));
#elif defined(__SSE2__)
    _mm_storeu_si128((__m128i *)(void *)keep, bitdrop_lanes_4(bits));
    _mm_storeu_si128((__m128i *)(void *)(keep + 4), bitdrop_lanes_4(bits >> 4));
#else
    vst1q_u32(keep, bitdrop_lanes_4(bits));
    vst1q_u32(keep + 4, bitdrop_lanes_4(bits >> 4));
#endif
}

/* keep[k] = all ones if bit first + k of the mask is 1, else 0, for k < n. */
static inline void bitdrop_keep_words(uint32_t *keep, const uint8_t *mask, size_t first, size_t n)
{
    const unsigned phase = (unsigned)(first % 8);
    size_t k = 0;

    mask += first / 8;
    if (phase == 0)
        for (; n - k >= 8; k += 8)
            bitdrop_keep_8(keep + k, *mask++);
    else
        for (; n - k >= 8; k += 8, mask++)
            bitdrop_keep_8(keep + k, (mask[0] | (unsigned)mask[1] << 8) >> phase);
    for (unsigned bit = phase; k < n; k++, bit++)
        keep[k] = 0 - (uint32_t)(mask[bit / 8] >> bit % 8 & 1);
}

#endif
