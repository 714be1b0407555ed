/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the vocabulary that template/product.h needs. To be included after vec.h. */
#ifndef BITDROP_AVX2_VEC_PRODUCT_H
#define BITDROP_AVX2_VEC_PRODUCT_H

/* 12 registers of sums, 2 for a row of b, and 1 for a factor of a. */
enum { PRODUCT_ROWS = 6, PRODUCT_VECTORS = 2 };

static inline f32_vec f32_broadcast(const void *p)
{
    float x;

    memcpy(&x, p, sizeof x);
    return _mm256_set1_ps(x);
}

static inline f32_vec f32_mul_add(f32_vec a, f32_vec b, f32_vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline void f32_zip(f32_vec a, f32_vec b, f32_vec *low, f32_vec *high)
{
    const __m256 even = _mm256_unpacklo_ps(a, b), odd = _mm256_unpackhi_ps(a, b);

    *low = _mm256_permute2f128_ps(even, odd, 0x20);
    *high = _mm256_permute2f128_ps(even, odd, 0x31);
}

static inline f64_vec f64_broadcast(const void *p)
{
    double x;

    memcpy(&x, p, sizeof x);
    return _mm256_set1_pd(x);
}

static inline f64_vec f64_mul_add(f64_vec a, f64_vec b, f64_vec c)
{
    return _mm256_fmadd_pd(a, b, c);
}

static inline void f64_zip(f64_vec a, f64_vec b, f64_vec *low, f64_vec *high)
{
    const __m256d even = _mm256_unpacklo_pd(a, b), odd = _mm256_unpackhi_pd(a, b);

    *low = _mm256_permute2f128_pd(even, odd, 0x20);
    *high = _mm256_permute2f128_pd(even, odd, 0x31);
}

static inline void f16_store_f32(void *p, f16_vec a) { f32_store(p, a); }

static inline void bf16_store_f32(void *p, bf16_vec a)
{
    f32_vec low, high;

    f32_zip(a.even, a.odd, &low, &high);
    f32_store(p, low);
    f32_store((uint8_t *)p + 32, high);
}

#endif
