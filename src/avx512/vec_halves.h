/* SPDX-License-Identifier: Apache-2.0 */
/* f16 and bf16. A part of vec.h. */
#ifndef BITDROP_AVX512_VEC_HALVES_H
#define BITDROP_AVX512_VEC_HALVES_H

/* f16: the conversions round to nearest even by their argument, and keep denormals */

typedef __m256i f16_packed;

static inline f32_vec f16_load(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline f16_packed f16_round(f32_vec a)
{
    return _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

#include "template/f16_as_f32.h"

static inline void f16_store(void *p, f16_packed a) { _mm256_storeu_si256((__m256i *)p, a); }
static inline void f16_stream(void *p, f16_packed a) { _mm256_stream_si256((__m256i *)p, a); }

static inline f16_vec f16_load_partial(const void *p, size_t n)
{
    short first;

    memcpy(&first, p, sizeof first);
    return _mm512_cvtph_ps(
        _mm256_mask_loadu_epi16(_mm256_set1_epi16(first), (__mmask16)lanes_below(n), p));
}

static inline void f16_store_partial(void *p, f16_packed a, size_t n)
{
    _mm256_mask_storeu_epi16(p, (__mmask16)lanes_below(n), a);
}

/* bf16: the even and the odd elements of a vector, each in the upper half of an f32 */

typedef struct {
    __m512 even, odd;
} bf16_vec;
typedef __m512i bf16_packed;
enum { bf16_LANES = 32, bf16_PARTS = 2 };

static inline bf16_vec bf16_unpack(__m512i u)
{
    return (bf16_vec){
        .even = _mm512_castsi512_ps(_mm512_slli_epi32(u, 16)),
        .odd = _mm512_castsi512_ps(_mm512_and_si512(u, vec_set1(0xFFFF0000))),
    };
}

static inline bf16_vec bf16_load(const void *p) { return bf16_unpack(_mm512_loadu_si512(p)); }

static inline bf16_vec bf16_load_partial(const void *p, size_t n)
{
    short first;

    memcpy(&first, p, sizeof first);
    return bf16_unpack(_mm512_mask_loadu_epi16(_mm512_set1_epi16(first), lanes_below(n), p));
}

/* Lane i of even is element 2 i. */
static inline bf16_vec bf16_load_f32(const void *p)
{
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const f32_vec low = f32_load(p), high = f32_load((const uint8_t *)p + 64);

    return (bf16_vec){
        .even = _mm512_permutex2var_ps(low, even, high),
        .odd = _mm512_permutex2var_ps(low, _mm512_add_epi32(even, vec_set1(1)), high),
    };
}

static inline bf16_vec bf16_mul(bf16_vec a, f32_vec b)
{
    return (bf16_vec){f32_mul(a.even, b), f32_mul(a.odd, b)};
}

static inline f32_vec *bf16_part(bf16_vec *a, int i) { return i == 0 ? &a->even : &a->odd; }

static inline float bf16_sum(bf16_vec a) { return f32_sum(a.even) + f32_sum(a.odd); }

/* Every second bit, by pext. That is slow only on Zen 1 and 2, which have no AVX-512. */
static inline f32_mask bf16_keep(keep_bits keep, int v, int part)
{
    (void)v; /* 0: a strip is one vector */
    return (f32_mask)_pext_u32(keep_bits_32(keep), part == 0 ? 0x55555555 : 0xAAAAAAAA);
}

static inline uint32_t bf16_mask_bits(const f32_mask m[bf16_PARTS])
{
    const __m512i even = _mm512_maskz_set1_epi32(m[0], 0xFFFF);

    return _mm512_movepi16_mask(_mm512_mask_or_epi32(even, m[1], even, vec_set1(0xFFFF0000)));
}

/*
 * Rounds products of both together, in 16-bit lanes: up if the lower half is above 0x8000, or if it
 * is 0x8000 and the upper half is odd. If a product is a NaN, its lower half is 0, so it is not
 * rounded up.
 */
static inline bf16_packed bf16_rounded(bf16_vec a, __mmask32 kept)
{
    const __m512i even = _mm512_castps_si512(a.even), odd = _mm512_castps_si512(a.odd);
    const __m512i high = vec_set1(0xFFFF0000);
    const __m512i upper =
        _mm512_ternarylogic_epi32(odd, high, _mm512_srli_epi32(even, 16), 0xEA); /* a & b | c */
    const __m512i lower =
        _mm512_ternarylogic_epi32(even, high, _mm512_slli_epi32(odd, 16), 0xBA); /* a & ~b | c */
    const __m512i is_even = _mm512_andnot_si512(upper, _mm512_set1_epi16(1));
    const __m512i up = _mm512_srli_epi16(_mm512_subs_epu16(lower, is_even), 15);

    return _mm512_maskz_add_epi16(kept, upper, up);
}

/*
 * Any f32, to nearest even; the result is the upper half of each lane. A NaN keeps its upper half
 * and becomes quiet.
 */
static inline __m512i bf16_upper(f32_vec a)
{
    const __m512i u = _mm512_castps_si512(a);
    const __m512i is_odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), vec_set1(1));
    const __m512i up = _mm512_add_epi32(_mm512_add_epi32(u, vec_set1(0x7FFF)), is_odd);
    const __mmask16 is_nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);

    return _mm512_mask_or_epi32(up, is_nan, u, vec_set1(0x400000));
}

static inline bf16_packed bf16_round_any(bf16_vec a)
{
    return _mm512_ternarylogic_epi32(bf16_upper(a.odd), vec_set1(0xFFFF0000),
                                     _mm512_srli_epi32(bf16_upper(a.even), 16), 0xEA);
}

#ifdef WITH_AVX512_BF16
/* The instruction reads denormals as 0, and returns none. It is not used where there is one. */
static inline bool bf16_has_denormals(bf16_vec a)
{
    enum { DENORMAL = 0x20 };
    const __mmask16 even = _mm512_fpclass_ps_mask(a.even, DENORMAL);
    const __mmask16 odd = _mm512_fpclass_ps_mask(a.odd, DENORMAL);

    return __builtin_expect(!_mm512_kortestz(even, odd), 0);
}

static inline bf16_packed bf16_by_instruction(bf16_vec a, __mmask32 kept)
{
    const __m512i in_order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);

    return _mm512_maskz_permutexvar_epi16(kept, in_order,
                                          (__m512i)_mm512_cvtne2ps_pbh(a.odd, a.even));
}

static inline bf16_packed bf16_round(bf16_vec a)
{
    return bf16_has_denormals(a) ? bf16_round_any(a) : bf16_by_instruction(a, UINT32_MAX);
}

static inline bf16_packed bf16_kept(bf16_vec a, keep_bits keep, int v)
{
    (void)v; /* 0: a strip is one vector */
    return bf16_has_denormals(a) ? bf16_rounded(a, keep_bits_32(keep))
                                 : bf16_by_instruction(a, keep_bits_32(keep));
}
#else
static inline bf16_packed bf16_round(bf16_vec a) { return bf16_round_any(a); }

static inline bf16_packed bf16_kept(bf16_vec a, keep_bits keep, int v)
{
    (void)v; /* 0: a strip is one vector */
    return bf16_rounded(a, keep_bits_32(keep));
}
#endif

static inline void bf16_store(void *p, bf16_packed a) { _mm512_storeu_si512(p, a); }
static inline void bf16_stream(void *p, bf16_packed a) { _mm512_stream_si512(p, a); }

static inline void bf16_store_partial(void *p, bf16_packed a, size_t n)
{
    _mm512_mask_storeu_epi16(p, lanes_below(n), a);
}

#endif
