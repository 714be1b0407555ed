/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the vocabulary that template/product.h needs. To be included after vec.h. */
#ifndef BITDROP_AVX512_VEC_PRODUCT_H
#define BITDROP_AVX512_VEC_PRODUCT_H

#include "template/number.h"

/* 24 registers of sums, 4 for a row of b, and 1 for a factor of a. */
enum { PRODUCT_ROWS = 6, PRODUCT_VECTORS = 4 };

static inline f32_vec f32_broadcast(const void *p)
{
    float x;

    memcpy(&x, p, sizeof x);
    return _mm512_set1_ps(x);
}

static inline f32_vec f32_mul_add(f32_vec a, f32_vec b, f32_vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline void f32_zip(f32_vec a, f32_vec b, f32_vec *low, f32_vec *high)
{
    const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);

    *low = _mm512_permutex2var_ps(a, first, b);
    *high = _mm512_permutex2var_ps(a, _mm512_add_epi32(first, _mm512_set1_epi32(8)), b);
}

static inline f64_vec f64_broadcast(const void *p)
{
    double x;

    memcpy(&x, p, sizeof x);
    return _mm512_set1_pd(x);
}

static inline f64_vec f64_mul_add(f64_vec a, f64_vec b, f64_vec c)
{
    return _mm512_fmadd_pd(a, b, c);
}

static inline void f64_zip(f64_vec a, f64_vec b, f64_vec *low, f64_vec *high)
{
    const __m512i first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);

    *low = _mm512_permutex2var_pd(a, first, b);
    *high = _mm512_permutex2var_pd(a, _mm512_add_epi64(first, _mm512_set1_epi64(4)), b);
}

static inline void f16_store_f32(void *p, f16_vec a) { f32_store(p, a); }

static inline void bf16_store_f32(void *p, bf16_vec a)
{
    f32_vec low, high;

    f32_zip(a.even, a.odd, &low, &high);
    f32_store(p, low);
    f32_store((uint8_t *)p + 64, high);
}

#ifdef WITH_AVX512_BF16
/*
 * Each lane has a pair of bf16, the first one in the lower half. The instruction that multiplies
 * pairs reads denormals as 0.
 */
typedef f32_vec pair_vec;
typedef f32_number pair_number;
enum { pair_LANES = f32_LANES };

static inline pair_vec pair_set1(double x) { return f32_set1(x); }
static inline pair_vec pair_load(const void *p) { return f32_load(p); }
static inline void pair_store(void *p, pair_vec a) { f32_store(p, a); }
static inline pair_vec pair_add(pair_vec a, pair_vec b) { return f32_add(a, b); }

static inline pair_vec pair_broadcast(const void *p)
{
    pair_vec a = f32_broadcast(p);

#if defined(__clang__) && __clang_major__ == 16 /* it crashes if a broadcast is cast */
    load_by_itself(a);
#endif
    return a;
}

/* c, plus both products of each lane. */
static inline f32_vec pair_mul_add(pair_vec a, pair_vec b, f32_vec c)
{
    return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
}

/* Numbers rounded to bf16: those of a, then those of b. */
static inline pair_vec pair_pack(f32_vec a, f32_vec b)
{
    return (pair_vec)_mm512_cvtne2ps_pbh(b, a);
}

/* In each lane the number of a and the number of b, rounded to bf16. */
static inline pair_vec pair_of(f32_vec a, f32_vec b)
{
    const __m512i in_order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);

    return (pair_vec)_mm512_permutexvar_epi16(in_order, (__m512i)_mm512_cvtne2ps_pbh(b, a));
}

/* The first n elements as numbers, and +0 after them. */
static inline f32_vec pair_load_half(const void *p, size_t n)
{
    const __m256i half = _mm256_maskz_loadu_epi16((__mmask16)lanes_below(n < 16 ? n : 16), p);

    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}
#endif

#endif
