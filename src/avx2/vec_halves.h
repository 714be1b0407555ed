/* SPDX-License-Identifier: Apache-2.0 */
/* f16 and bf16. A part of vec.h. */
#ifndef BITDROP_AVX2_VEC_HALVES_H
#define BITDROP_AVX2_VEC_HALVES_H

/* f16: the conversions of F16C round to nearest even by their argument, and keep denormals */

typedef __m128i f16_packed;

static inline f32_vec f16_load(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline f16_packed f16_round(f32_vec a)
{
    return _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

#include "template/f16_as_f32.h"

static inline void f16_store(void *p, f16_packed a) { _mm_storeu_si128((__m128i *)p, a); }
static inline void f16_stream(void *p, f16_packed a) { _mm_stream_si128((__m128i *)p, a); }

static inline f16_vec f16_load_partial(const void *p, size_t n)
{
    if (n >= f16_LANES)
        return f16_load(p);
    return _mm256_cvtph_ps(load_partial_halves_128(p, n, first_half(p)));
}

static inline void f16_store_partial(void *p, f16_packed a, size_t n)
{
    if (n >= f16_LANES)
        f16_store(p, a);
    else
        store_bytes_128(p, a, 2 * n);
}

/*
 * bf16: the even and the odd elements of a vector, each in the upper half of an f32. Products of
 * both are rounded together, in 16-bit lanes: up if the lower half is above 0x8000, or if it is
 * 0x8000 and the upper half is odd. If a product is a NaN, its lower half is 0, so it is not
 * rounded up.
 */

typedef struct {
    __m256 even, odd;
} bf16_vec;
typedef __m256i bf16_packed;
enum { bf16_LANES = 16, bf16_PARTS = 2 };

static inline bf16_vec bf16_unpack(__m256i u)
{
    return (bf16_vec){
        .even = _mm256_castsi256_ps(_mm256_slli_epi32(u, 16)),
        .odd = _mm256_castsi256_ps(_mm256_and_si256(u, _mm256_set1_epi32(-0x10000))),
    };
}

static inline bf16_vec bf16_load(const void *p)
{
    return bf16_unpack(_mm256_loadu_si256((const __m256i *)p));
}

static inline bf16_vec bf16_load_partial(const void *p, size_t n)
{
    const uint8_t *bytes = p;
    const __m128i first = first_half(p);

    if (n >= bf16_LANES)
        return bf16_load(p);
    const __m128i part = load_partial_halves_128(bytes + 16 * (n / 8), n % 8, first);
    const __m128i low = n < 8 ? part : _mm_loadu_si128((const __m128i *)p);
    const __m128i high = n < 8 ? first : part;

    return bf16_unpack(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1));
}

/* Puts the result of a shuffle in order. Each half of it has two elements of each operand. */
static inline f32_vec bf16_in_order(f32_vec a)
{
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(a), _MM_SHUFFLE(3, 1, 2, 0)));
}

static inline bf16_vec bf16_load_f32(const void *p)
{
    const f32_vec low = f32_load(p), high = f32_load((const uint8_t *)p + 32);

    return (bf16_vec){
        .even = bf16_in_order(_mm256_shuffle_ps(low, high, _MM_SHUFFLE(2, 0, 2, 0))),
        .odd = bf16_in_order(_mm256_shuffle_ps(low, high, _MM_SHUFFLE(3, 1, 3, 1))),
    };
}

static inline bf16_vec bf16_mul(bf16_vec a, f32_vec b)
{
    return (bf16_vec){f32_mul(a.even, b), f32_mul(a.odd, b)};
}

static inline f32_vec *bf16_part(bf16_vec *a, int i) { return i == 0 ? &a->even : &a->odd; }

static inline float bf16_sum(bf16_vec a) { return f32_sum(a.even) + f32_sum(a.odd); }

static inline f32_mask bf16_keep(keep_bits keep, int v, int part)
{
    return keep_lanes(keep, UINT32_C(1) << (16 * v + part), 2);
}

static inline uint32_t bf16_mask_bits(const f32_mask m[bf16_PARTS])
{
    const __m256i words =
        _mm256_blend_epi16(_mm256_castps_si256(m[0]), _mm256_castps_si256(m[1]), 0xAA);
    const __m128i bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));

    return (uint32_t)_mm_movemask_epi8(bytes);
}

/* Any f32, to nearest even. A NaN keeps its upper half and becomes quiet. */
static inline bf16_packed bf16_round(bf16_vec a)
{
    const __m256i even = _mm256_castps_si256(a.even), odd = _mm256_castps_si256(a.odd);
    const __m256i upper = _mm256_blend_epi16(_mm256_srli_epi32(even, 16), odd, 0xAA);
    const __m256i lower = _mm256_blend_epi16(even, _mm256_slli_epi32(odd, 16), 0xAA);
    const __m256i is_even = _mm256_andnot_si256(upper, _mm256_set1_epi16(1));
    const __m256i up = _mm256_srli_epi16(_mm256_subs_epu16(lower, is_even), 15);
    const __m256i is_nan =
        _mm256_blend_epi16(_mm256_castps_si256(_mm256_cmp_ps(a.even, a.even, _CMP_UNORD_Q)),
                           _mm256_castps_si256(_mm256_cmp_ps(a.odd, a.odd, _CMP_UNORD_Q)), 0xAA);
    const __m256i quiet = _mm256_or_si256(upper, _mm256_and_si256(is_nan, _mm256_set1_epi16(0x40)));

    return _mm256_add_epi16(quiet, _mm256_andnot_si256(is_nan, up));
}

static inline bf16_packed bf16_kept(bf16_vec a, keep_bits keep, int v)
{
    const __m256i half_v = _mm256_set1_epi16((int16_t)(v == 0 ? 0x0100 : 0x0302));
    const __m256i bit = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096,
                                          8192, 16384, -32768);
    const __m256i even = _mm256_castps_si256(a.even), odd = _mm256_castps_si256(a.odd);
    const __m256i upper = _mm256_blend_epi16(_mm256_srli_epi32(even, 16), odd, 0xAA);
    const __m256i lower = _mm256_blend_epi16(even, _mm256_slli_epi32(odd, 16), 0xAA);
    const __m256i is_even = _mm256_andnot_si256(upper, _mm256_set1_epi16(1));
    const __m256i up = _mm256_srli_epi16(_mm256_subs_epu16(lower, is_even), 15);
    const __m256i set = _mm256_and_si256(_mm256_shuffle_epi8(keep, half_v), bit);

    return _mm256_and_si256(_mm256_add_epi16(upper, up), _mm256_cmpeq_epi16(set, bit));
}

static inline void bf16_store(void *p, bf16_packed a) { _mm256_storeu_si256((__m256i *)p, a); }
static inline void bf16_stream(void *p, bf16_packed a) { _mm256_stream_si256((__m256i *)p, a); }

static inline void bf16_store_partial(void *p, bf16_packed a, size_t n)
{
    if (n >= bf16_LANES)
        bf16_store(p, a);
    else
        store_bytes(p, a, 2 * n);
}

#endif
