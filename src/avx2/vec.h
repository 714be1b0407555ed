/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary in AVX2 and F16C. docs/design.md says what each operation means. */
#ifndef BITDROP_VEC_H
#define BITDROP_VEC_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TARGET "avx2,fma,f16c,bmi2"
#include "template/target_begin.h"

#include "avx2/pick_order.h"
#include "template/bits.h"

#include "avx2/vec_random.h"

/* Keep bits of a strip: the word in every 32-bit lane */

typedef __m256i keep_bits;

static inline keep_bits keep_bits_load(const uint8_t *p)
{
    return _mm256_set1_epi32((int)load_le32(p));
}

/*
 * Partial vectors: fewer elements than a vector has. They are stored in pieces of 16, 8, 4 and 2
 * bytes, because masked stores are slow on AMD CPUs. Halves, elements of 16 bits, are loaded in
 * pieces too, because AVX2 has no masked loads for them.
 */

/* The first n < 8 halves at p, and after them the first halves of `above`. */
static inline __m128i load_partial_halves_128(const uint8_t *p, size_t n, __m128i above)
{
    short one;
    int two;

    if (n & 1) {
        memcpy(&one, p + 2 * (n & 6), sizeof one);
        above = _mm_insert_epi16(_mm_slli_si128(above, 2), one, 0);
    }
    if (n & 2) {
        memcpy(&two, p + 2 * (n & 4), sizeof two);
        above = _mm_insert_epi32(_mm_slli_si128(above, 4), two, 0);
    }
    if (n & 4)
        above = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)p), above);
    return above;
}

/* The half at p in all lanes. */
static inline __m128i first_half(const void *p)
{
    short first;

    memcpy(&first, p, sizeof first);
    return _mm_set1_epi16(first);
}

static inline void store_bytes_128(uint8_t *p, __m128i a, size_t bytes)
{
    if (bytes & 8) {
        _mm_storel_epi64((__m128i *)p, a);
        a = _mm_unpackhi_epi64(a, a);
        p += 8;
    }
    if (bytes & 4) {
        const int two = _mm_cvtsi128_si32(a);

        memcpy(p, &two, sizeof two);
        a = _mm_srli_si128(a, 4);
        p += 4;
    }
    if (bytes & 2) {
        const short one = (short)_mm_extract_epi16(a, 0);

        memcpy(p, &one, sizeof one);
    }
}

static inline void store_bytes(uint8_t *p, __m256i a, size_t bytes)
{
    __m128i rest = _mm256_castsi256_si128(a);

    if (bytes & 16) {
        _mm_storeu_si128((__m128i *)p, rest);
        rest = _mm256_extracti128_si256(a, 1);
        p += 16;
    }
    store_bytes_128(p, rest, bytes);
}

/* f32 */

typedef __m256 f32_vec;
typedef f32_vec f32_packed;
typedef __m256 f32_mask; /* all ones or all zeros in each lane */
enum { f32_LANES = 8, f32_PARTS = 1 };

static inline f32_vec f32_set1(double x) { return _mm256_set1_ps((float)x); }
static inline f32_vec f32_add(f32_vec a, f32_vec b) { return _mm256_add_ps(a, b); }
static inline f32_vec f32_mul(f32_vec a, f32_vec b) { return _mm256_mul_ps(a, b); }
static inline f32_vec f32_load(const void *p) { return _mm256_loadu_ps(p); }
static inline void f32_store(void *p, f32_vec a) { _mm256_storeu_ps(p, a); }
static inline void f32_stream(void *p, f32_vec a) { _mm256_stream_ps(p, a); }

static inline f32_vec f32_load_partial(const void *p, size_t n)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i below_n = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lanes);

    return _mm256_blendv_ps(_mm256_broadcast_ss(p), _mm256_maskload_ps(p, below_n),
                            _mm256_castsi256_ps(below_n));
}

static inline void f32_store_partial(void *p, f32_vec a, size_t n)
{
    if (n >= f32_LANES)
        f32_store(p, a);
    else
        store_bytes(p, _mm256_castps_si256(a), 4 * n);
}

static inline f32_vec *f32_part(f32_vec *a, int i) { return a + i; }
static inline f32_packed f32_round(f32_vec a) { return a; }

/*
 * The lanes whose bit is set in keep. The bit of the first lane is `bit`. That of each next lane is
 * `step` places higher.
 */
static inline f32_mask keep_lanes(keep_bits keep, uint32_t bit, int step)
{
    const __m256i lane_bits =
        _mm256_setr_epi32((int)bit, (int)(bit << step), (int)(bit << 2 * step),
                          (int)(bit << 3 * step), (int)(bit << 4 * step), (int)(bit << 5 * step),
                          (int)(bit << 6 * step), (int)(bit << 7 * step));

    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(keep, lane_bits), lane_bits));
}

static inline f32_mask f32_keep(keep_bits keep, int v, int part)
{
    (void)part;
    return keep_lanes(keep, UINT32_C(1) << (8 * v), 1);
}

static inline uint32_t f32_mask_bits(const f32_mask m[f32_PARTS])
{
    return (uint32_t)_mm256_movemask_ps(m[0]);
}

static inline f32_vec f32_select(f32_mask m, f32_vec a, f32_vec b)
{
    return _mm256_blendv_ps(b, a, m);
}

static inline f32_mask f32_positive(f32_mask m, f32_vec a)
{
    return _mm256_and_ps(m, _mm256_cmp_ps(a, _mm256_setzero_ps(), _CMP_NLE_UQ));
}

static inline f32_vec f32_kept(f32_vec a, keep_bits keep, int v)
{
    return _mm256_and_ps(a, f32_keep(keep, v, 0));
}

static inline f32_vec f32_only(f32_mask m, f32_vec a) { return _mm256_and_ps(m, a); }
static inline f32_vec f32_sub(f32_vec a, f32_vec b) { return _mm256_sub_ps(a, b); }
static inline f32_vec f32_div(f32_vec a, f32_vec b) { return _mm256_div_ps(a, b); }
static inline f32_vec f32_abs(f32_vec a) { return _mm256_andnot_ps(f32_set1(-0.0), a); }
static inline f32_vec f32_sqrt(f32_vec a) { return _mm256_sqrt_ps(a); }
static inline f32_vec f32_from_int32(const uint32_t *p) { return _mm256_cvtepi32_ps(full_load(p)); }

static inline f32_vec f32_from_int31(const uint32_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_srli_epi32(full_load(p), 1));
}

static inline f32_vec f32_load_f32(const void *p) { return f32_load(p); }

/*
 * Every second vector divides, and the others multiply. The divider and the multiplier work at the
 * same time, so this is faster.
 *
 * r is 1 / b rounded to nearest. After the first correction the quotient is off by less than one
 * unit in its last place. So the remainder of a is exact, and the second correction rounds as a
 * division does (Markstein, "Computation of elementary functions on the IBM RISC System/6000
 * processor", 1990). The remainder of a small a may be a denormal and not exact: such vectors
 * divide. An a of 0 has the remainder 0.
 */
static inline f32_vec f32_quotient(f32_vec a, f32_vec b, f32_vec r, int alternate)
{
    const __m256 nonzero = _mm256_cmp_ps(a, _mm256_setzero_ps(), _CMP_NEQ_OQ);
    const __m256 small = _mm256_cmp_ps(a, f32_set1(0x1p-60), _CMP_LT_OQ);
    f32_vec q = _mm256_mul_ps(a, r);

    if (alternate % 2 == 1 || __builtin_expect(!_mm256_testz_ps(nonzero, small), 0))
        return f32_div(a, b);
    q = _mm256_fmadd_ps(_mm256_fnmadd_ps(q, b, a), r, q);
    return _mm256_fmadd_ps(_mm256_fnmadd_ps(q, b, a), r, q);
}

static inline float f32_sum(f32_vec a)
{
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

static inline float f32_greatest(f32_vec a)
{
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

/* Where an operand is a NaN, the instructions return the second operand. */
static inline f32_vec f32_max(f32_vec a, f32_vec b) { return _mm256_max_ps(a, b); }

static inline f32_vec f32_clamp(f32_vec a, f32_vec low, f32_vec high)
{
    return _mm256_max_ps(low, _mm256_min_ps(high, a));
}

static inline f32_mask f32_above(f32_mask m, f32_vec a, f32_vec b)
{
    return _mm256_and_ps(m, _mm256_cmp_ps(a, b, _CMP_NLE_UQ));
}

/* f64 */

typedef __m256d f64_vec;
typedef f64_vec f64_packed;
typedef __m256d f64_mask;
enum { f64_LANES = 4, f64_PARTS = 1 };

static inline f64_vec f64_set1(double x) { return _mm256_set1_pd(x); }
static inline f64_vec f64_add(f64_vec a, f64_vec b) { return _mm256_add_pd(a, b); }
static inline f64_vec f64_mul(f64_vec a, f64_vec b) { return _mm256_mul_pd(a, b); }
static inline f64_vec f64_load(const void *p) { return _mm256_loadu_pd(p); }
static inline void f64_store(void *p, f64_vec a) { _mm256_storeu_pd(p, a); }
static inline void f64_stream(void *p, f64_vec a) { _mm256_stream_pd(p, a); }

static inline f64_vec f64_load_partial(const void *p, size_t n)
{
    const __m256i below_n =
        _mm256_cmpgt_epi64(_mm256_set1_epi64x((int64_t)n), _mm256_setr_epi64x(0, 1, 2, 3));

    return _mm256_blendv_pd(_mm256_broadcast_sd(p), _mm256_maskload_pd(p, below_n),
                            _mm256_castsi256_pd(below_n));
}

static inline void f64_store_partial(void *p, f64_vec a, size_t n)
{
    if (n >= f64_LANES)
        f64_store(p, a);
    else
        store_bytes(p, _mm256_castpd_si256(a), 8 * n);
}

static inline f64_vec *f64_part(f64_vec *a, int i) { return a + i; }
static inline f64_packed f64_round(f64_vec a) { return a; }

static inline f64_mask f64_keep(keep_bits keep, int v, int part)
{
    const int64_t bit = INT64_C(1) << (4 * v);
    const __m256i lane_bits = _mm256_setr_epi64x(bit, bit << 1, bit << 2, bit << 3);

    (void)part;
    return _mm256_castsi256_pd(_mm256_cmpeq_epi64(_mm256_and_si256(keep, lane_bits), lane_bits));
}

static inline uint32_t f64_mask_bits(const f64_mask m[f64_PARTS])
{
    return (uint32_t)_mm256_movemask_pd(m[0]);
}

static inline f64_vec f64_select(f64_mask m, f64_vec a, f64_vec b)
{
    return _mm256_blendv_pd(b, a, m);
}

static inline f64_mask f64_positive(f64_mask m, f64_vec a)
{
    return _mm256_and_pd(m, _mm256_cmp_pd(a, _mm256_setzero_pd(), _CMP_NLE_UQ));
}

static inline f64_vec f64_kept(f64_vec a, keep_bits keep, int v)
{
    return _mm256_and_pd(a, f64_keep(keep, v, 0));
}

static inline f64_vec f64_only(f64_mask m, f64_vec a) { return _mm256_and_pd(m, a); }
static inline f64_vec f64_sub(f64_vec a, f64_vec b) { return _mm256_sub_pd(a, b); }
static inline f64_vec f64_div(f64_vec a, f64_vec b) { return _mm256_div_pd(a, b); }
static inline f64_vec f64_abs(f64_vec a) { return _mm256_andnot_pd(f64_set1(-0.0), a); }
static inline f64_vec f64_load_f32(const void *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }

static inline f64_vec f64_quotient(f64_vec a, f64_vec b, f64_vec r, int alternate)
{
    (void)r;
    (void)alternate;
    return f64_div(a, b);
}

static inline double f64_sum(f64_vec a)
{
    const __m128d b = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));

    return _mm_cvtsd_f64(_mm_add_sd(b, _mm_unpackhi_pd(b, b)));
}

static inline double f64_greatest(f64_vec a)
{
    const __m128d b = _mm_max_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));

    return _mm_cvtsd_f64(_mm_max_sd(b, _mm_unpackhi_pd(b, b)));
}

/* Where an operand is a NaN, the instructions return the second operand. */
static inline f64_vec f64_max(f64_vec a, f64_vec b) { return _mm256_max_pd(a, b); }

static inline f64_vec f64_clamp(f64_vec a, f64_vec low, f64_vec high)
{
    return _mm256_max_pd(low, _mm256_min_pd(high, a));
}

static inline f64_mask f64_above(f64_mask m, f64_vec a, f64_vec b)
{
    return _mm256_and_pd(m, _mm256_cmp_pd(a, b, _CMP_NLE_UQ));
}

/* Vector math */

typedef struct {
    f32_vec sine, cosine; /* as SLEEF returns them */
} f32_sine_cosine;

#ifdef BITDROP_SLEEF
#if defined(__clang__) && !defined(__AVX__)
#error "clang passes vectors to SLEEF in memory unless this file is compiled with -mavx2"
#endif
__attribute__((const)) f32_vec Sleef_finz_expf8_u10avx2(f32_vec a);
__attribute__((const)) f64_vec Sleef_finz_expd4_u10avx2(f64_vec a);
__attribute__((const)) f32_vec Sleef_finz_logf8_u10avx2(f32_vec a);
__attribute__((const)) f64_vec Sleef_finz_logd4_u10avx2(f64_vec a);
__attribute__((const)) f64_vec Sleef_finz_erfcd4_u15avx2(f64_vec a);
f32_sine_cosine Sleef_finz_sincospif8_u05avx2(f32_vec a); /* not const: it writes memory */

static inline f32_vec f32_exp(f32_vec a) { return Sleef_finz_expf8_u10avx2(a); }
static inline f64_vec f64_exp(f64_vec a) { return Sleef_finz_expd4_u10avx2(a); }
static inline f32_vec f32_log(f32_vec a) { return Sleef_finz_logf8_u10avx2(a); }
static inline f64_vec f64_log(f64_vec a) { return Sleef_finz_logd4_u10avx2(a); }
static inline f64_vec f64_erfc(f64_vec a) { return Sleef_finz_erfcd4_u15avx2(a); }
static inline f32_sine_cosine f32_sincospi(f32_vec a) { return Sleef_finz_sincospif8_u05avx2(a); }
#else
#include "template/libm.h"
#endif

#include "avx2/vec_halves.h"

static inline void stream_fence(void) { _mm_sfence(); }

#endif
