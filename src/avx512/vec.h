/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary in AVX-512 F, BW, DQ and VL. docs/design.md says what each operation means. */
#ifndef BITDROP_AVX512_VEC_H
#define BITDROP_AVX512_VEC_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "template/open_words.h"

/* Random words: each in the low half of a 64-bit lane, which vpmuludq reads; above it is dirt */

typedef __m512i vec;
enum { LANES = 8, CHAINS = 2, VECS = 2 };

static inline vec vec_set1(uint32_t x) { return _mm512_set1_epi32((int)x); }
static inline vec vec_add(vec a, vec b) { return _mm512_add_epi64(a, b); }
static inline vec vec_xor(vec a, vec b) { return _mm512_xor_si512(a, b); }
static inline vec vec_and(vec a, vec b) { return _mm512_and_si512(a, b); }
static inline vec vec_andnot(vec a, vec b) { return _mm512_andnot_si512(b, a); }
static inline vec vec_or(vec a, vec b) { return _mm512_or_si512(a, b); }

static inline vec vec_or_and(vec a, vec b, vec c)
{
    return _mm512_ternarylogic_epi32(a, b, c, 0xF8);
}

static inline vec vec_xor_key(vec a, vec b, const uint32_t *key)
{
    return _mm512_ternarylogic_epi32(a, b, vec_set1(*key), 0x96);
}

static inline vec vec_load(const uint32_t *p)
{
    return _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)p));
}

static inline void vec_store(uint32_t *p, vec a)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi64_epi32(a));
}

/* In the order that the unpacking of vec_planes_store turns into that of memory. */
static inline vec vec_blocks(uint32_t g)
{
    return _mm512_add_epi64(vec_set1(g), _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7));
}

static inline void vec_mul(vec a, uint32_t m, vec *hi, vec *lo)
{
    *lo = _mm512_mul_epu32(a, vec_set1(m));
    *hi = _mm512_shuffle_epi32(*lo, _MM_PERM_DDBB);
}

static inline void vec_planes(const vec words[4], vec planes[VECS])
{
    for (int v = 0; v < VECS; v++)
        planes[v] =
            _mm512_mask_shuffle_epi32(words[2 * v], 0xAAAA, words[2 * v + 1], _MM_PERM_CCAA);
}

static inline void vec_planes_store(uint8_t *p, const vec planes[VECS])
{
    _mm512_storeu_si512(p, _mm512_unpacklo_epi64(planes[0], planes[1]));
    _mm512_storeu_si512(p + 64, _mm512_unpackhi_epi64(planes[0], planes[1]));
}

/* vpcompressd into registers: into memory it is microcoded on Zen 4. */
static inline size_t open_words_gather(struct open_words *list, const uint8_t *keep,
                                       const uint8_t *open, size_t count)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    size_t found = 0;

    for (size_t i = 0; i < count; i += 16) { /* of a multiple of 64: what two chains make */
        const __m512i k = _mm512_loadu_si512(keep + 4 * i);
        const __m512i o = _mm512_loadu_si512(open + 4 * i);
        const __m512i at = _mm512_add_epi32(lane, vec_set1((uint32_t)i));
        const __mmask16 some = _mm512_test_epi32_mask(o, o);

        _mm512_storeu_si512(list->at + found, _mm512_maskz_compress_epi32(some, at));
        _mm512_storeu_si512(list->keep + found, _mm512_maskz_compress_epi32(some, k));
        _mm512_storeu_si512(list->open + found, _mm512_maskz_compress_epi32(some, o));
        found += (size_t)__builtin_popcount(some);
    }
    return found;
}

/* Keep bits of a strip */

typedef uint32_t keep_bits;

static inline keep_bits keep_bits_from(uint32_t bits) { return bits; }

/* f32 */

typedef float f32_scalar;
typedef __m512 f32_vec;
enum { f32_LANES = 16 };

static inline f32_vec f32_set1(double x) { return _mm512_set1_ps((float)x); }
static inline f32_vec f32_mul(f32_vec a, f32_vec b) { return _mm512_mul_ps(a, b); }
static inline f32_vec f32_load(const void *p) { return _mm512_loadu_ps(p); }
static inline void f32_store(void *p, f32_vec a) { _mm512_storeu_ps(p, a); }
static inline void f32_stream(void *p, f32_vec a) { _mm512_stream_ps(p, a); }

static inline f32_vec f32_keep(f32_vec a, keep_bits keep, int v)
{
    return _mm512_maskz_mov_ps((__mmask16)(keep >> (16 * v)), a);
}

/* f64 */

typedef double f64_scalar;
typedef __m512d f64_vec;
enum { f64_LANES = 8 };

static inline f64_vec f64_set1(double x) { return _mm512_set1_pd(x); }
static inline f64_vec f64_mul(f64_vec a, f64_vec b) { return _mm512_mul_pd(a, b); }
static inline f64_vec f64_load(const void *p) { return _mm512_loadu_pd(p); }
static inline void f64_store(void *p, f64_vec a) { _mm512_storeu_pd(p, a); }
static inline void f64_stream(void *p, f64_vec a) { _mm512_stream_pd(p, a); }

static inline f64_vec f64_keep(f64_vec a, keep_bits keep, int v)
{
    return _mm512_maskz_mov_pd((__mmask8)(keep >> (8 * v)), a);
}

/* f16: the conversions round as told and never flush */

static inline f32_vec f16_load(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline __m256i f16_from_f32(f32_vec a)
{
    return _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline void f16_store(void *p, f32_vec a)
{
    _mm256_storeu_si256((__m256i *)p, f16_from_f32(a));
}

static inline void f16_stream(void *p, f32_vec a)
{
    _mm256_stream_si256((__m256i *)p, f16_from_f32(a));
}

/* bf16: in integers. vpermw puts 16 halves into the odd ones of 32, and takes them from there. */

static inline f32_vec bf16_load(const void *p)
{
    const __m512i to_odd = _mm512_slli_epi32(
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), 16);
    const __m512i half = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)p));

    return _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xAAAAAAAA, to_odd, half));
}

static inline __m256i bf16_from_f32(f32_vec a)
{
    const __m512i from_odd =
        _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 31, 29, 27, 25, 23, 21, 19,
                         17, 15, 13, 11, 9, 7, 5, 3, 1);
    const __m512i u = _mm512_castps_si512(a);
    const __mmask16 number = _mm512_cmp_ps_mask(a, a, _CMP_ORD_Q);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), vec_set1(1));
    const __m512i bias = _mm512_add_epi32(odd, vec_set1(0x7FFF));
    const __m512i rounded = _mm512_mask_add_epi32(u, number, u, bias);

    return _mm512_castsi512_si256(_mm512_permutexvar_epi16(from_odd, rounded));
}

static inline void bf16_store(void *p, f32_vec a)
{
    _mm256_storeu_si256((__m256i *)p, bf16_from_f32(a));
}

static inline void bf16_stream(void *p, f32_vec a)
{
    _mm256_stream_si256((__m256i *)p, bf16_from_f32(a));
}

static inline void stream_fence(void) { _mm_sfence(); }

#endif
