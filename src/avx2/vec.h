/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary in AVX2 and F16C. docs/design.md says what each operation means. */
#ifndef BITDROP_AVX2_VEC_H
#define BITDROP_AVX2_VEC_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "template/bits.h"
#include "template/open_words.h"

/* Random words: each in the low half of a 64-bit lane, which vpmuludq reads; above it is dirt */

typedef __m256i vec;
enum { LANES = 4, CHAINS = 2, VECS = 2 };

static inline vec vec_set1(uint32_t x) { return _mm256_set1_epi32((int)x); }
static inline vec vec_add(vec a, vec b) { return _mm256_add_epi64(a, b); }
static inline vec vec_xor(vec a, vec b) { return _mm256_xor_si256(a, b); }
static inline vec vec_and(vec a, vec b) { return _mm256_and_si256(a, b); }
static inline vec vec_andnot(vec a, vec b) { return _mm256_andnot_si256(b, a); }
static inline vec vec_or(vec a, vec b) { return _mm256_or_si256(a, b); }
static inline vec vec_or_and(vec a, vec b, vec c) { return vec_or(a, vec_and(b, c)); }

static inline vec vec_xor_key(vec a, vec b, const uint32_t *key)
{
    return vec_xor(vec_xor(a, b), vec_set1(*key));
}

static inline vec vec_load(const uint32_t *p)
{
    return _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)p));
}

static inline void vec_store(uint32_t *p, vec a)
{
    const __m256i low = _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(0, 2, 4, 6, 0, 0, 0, 0));

    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(low));
}

/* In the order that the unpacking of vec_planes_store turns into that of memory. */
static inline vec vec_blocks(uint32_t g)
{
    return _mm256_add_epi64(vec_set1(g), _mm256_setr_epi64x(0, 2, 1, 3));
}

static inline void vec_mul(vec a, uint32_t m, vec *hi, vec *lo)
{
    *lo = _mm256_mul_epu32(a, vec_set1(m));
    *hi = _mm256_shuffle_epi32(*lo, _MM_SHUFFLE(3, 3, 1, 1));
}

static inline void vec_planes(const vec words[4], vec planes[VECS])
{
    for (int v = 0; v < VECS; v++) {
        const __m256i odd = _mm256_shuffle_epi32(words[2 * v + 1], _MM_SHUFFLE(2, 2, 0, 0));

        planes[v] = _mm256_blend_epi32(words[2 * v], odd, 0xAA);
    }
}

static inline void vec_planes_store(uint8_t *p, const vec planes[VECS])
{
    _mm256_storeu_si256((__m256i *)p, _mm256_unpacklo_epi64(planes[0], planes[1]));
    _mm256_storeu_si256((__m256i *)(p + 32), _mm256_unpackhi_epi64(planes[0], planes[1]));
}

static inline size_t open_words_gather(struct open_words *list, const uint8_t *keep,
                                       const uint8_t *open, size_t count)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i += 8) { /* of a multiple of 32: what two chains make */
        const __m256i o = _mm256_loadu_si256((const __m256i *)(open + 4 * i));
        const __m256i closed = _mm256_cmpeq_epi32(o, _mm256_setzero_si256());
        unsigned some = ~(unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(closed)) & 0xFF;

        for (; some != 0; some &= some - 1) {
            const uint32_t at = (uint32_t)i + (uint32_t)__builtin_ctz(some);

            list->at[found] = at;
            list->keep[found] = load_le32(keep + 4 * at);
            list->open[found] = load_le32(open + 4 * at);
            found++;
        }
    }
    return found;
}

/* Keep bits of a strip, in every 32-bit lane */

typedef __m256i keep_bits;

static inline keep_bits keep_bits_from(uint32_t bits) { return _mm256_set1_epi32((int)bits); }

/* f32 */

typedef float f32_scalar;
typedef __m256 f32_vec;
enum { f32_LANES = 8 };

static inline f32_vec f32_set1(double x) { return _mm256_set1_ps((float)x); }
static inline f32_vec f32_mul(f32_vec a, f32_vec b) { return _mm256_mul_ps(a, b); }
static inline f32_vec f32_load(const void *p) { return _mm256_loadu_ps(p); }
static inline void f32_store(void *p, f32_vec a) { _mm256_storeu_ps(p, a); }
static inline void f32_stream(void *p, f32_vec a) { _mm256_stream_ps(p, a); }

static inline f32_vec f32_keep(f32_vec a, keep_bits keep, int v)
{
    const uint32_t bit = UINT32_C(1) << (8 * v);
    const __m256i mine =
        _mm256_setr_epi32((int)bit, (int)(bit << 1), (int)(bit << 2), (int)(bit << 3),
                          (int)(bit << 4), (int)(bit << 5), (int)(bit << 6), (int)(bit << 7));
    const __m256i kept = _mm256_cmpeq_epi32(_mm256_and_si256(keep, mine), mine);

    return _mm256_and_ps(a, _mm256_castsi256_ps(kept));
}

/* f64 */

typedef double f64_scalar;
typedef __m256d f64_vec;
enum { f64_LANES = 4 };

static inline f64_vec f64_set1(double x) { return _mm256_set1_pd(x); }
static inline f64_vec f64_mul(f64_vec a, f64_vec b) { return _mm256_mul_pd(a, b); }
static inline f64_vec f64_load(const void *p) { return _mm256_loadu_pd(p); }
static inline void f64_store(void *p, f64_vec a) { _mm256_storeu_pd(p, a); }
static inline void f64_stream(void *p, f64_vec a) { _mm256_stream_pd(p, a); }

static inline f64_vec f64_keep(f64_vec a, keep_bits keep, int v)
{
    const int64_t bit = INT64_C(1) << (4 * v);
    const __m256i mine = _mm256_setr_epi64x(bit, bit << 1, bit << 2, bit << 3);
    const __m256i kept = _mm256_cmpeq_epi64(_mm256_and_si256(keep, mine), mine);

    return _mm256_and_pd(a, _mm256_castsi256_pd(kept));
}

/* f16: F16C rounds as told and never flushes */

static inline f32_vec f16_load(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline __m128i f16_from_f32(f32_vec a)
{
    return _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline void f16_store(void *p, f32_vec a)
{
    _mm_storeu_si128((__m128i *)p, f16_from_f32(a));
}

static inline void f16_stream(void *p, f32_vec a)
{
    _mm_stream_si128((__m128i *)p, f16_from_f32(a));
}

/* bf16: in integers */

static inline f32_vec bf16_load(const void *p)
{
    const __m256i half = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));

    return _mm256_castsi256_ps(_mm256_slli_epi32(half, 16));
}

static inline __m128i bf16_from_f32(f32_vec a)
{
    const __m256i upper = _mm256_setr_epi8(2, 3, 6, 7, 10, 11, 14, 15, 2, 3, 6, 7, 10, 11, 14, 15,
                                           2, 3, 6, 7, 10, 11, 14, 15, 2, 3, 6, 7, 10, 11, 14, 15);
    const __m256i u = _mm256_castps_si256(a);
    const __m256i number = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_ORD_Q));
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    const __m256i bias = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF));
    const __m256i rounded = _mm256_add_epi32(u, _mm256_and_si256(bias, number));
    const __m256i halves = _mm256_shuffle_epi8(rounded, upper);

    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(halves, _MM_SHUFFLE(2, 0, 2, 0)));
}

static inline void bf16_store(void *p, f32_vec a)
{
    _mm_storeu_si128((__m128i *)p, bf16_from_f32(a));
}

static inline void bf16_stream(void *p, f32_vec a)
{
    _mm_stream_si128((__m128i *)p, bf16_from_f32(a));
}

static inline void stream_fence(void) { _mm_sfence(); }

#endif
