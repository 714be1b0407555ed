/* SPDX-License-Identifier: Apache-2.0 */
/* What matrix products are made of, for template/product.h. It stands beside vec.h. */
#ifndef BITDROP_AVX512_VEC_PRODUCT_H
#define BITDROP_AVX512_VEC_PRODUCT_H

/* 24 sums, and 5 registers for what is added to them. */
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

#endif
