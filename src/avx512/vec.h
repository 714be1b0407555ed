/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary in AVX-512 F, BW, DQ and VL, and in AVX512_BF16 if WITH_AVX512_BF16 is defined.
 * docs/design.md says what each operation means.
 */
#ifndef BITDROP_VEC_H
#define BITDROP_VEC_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define AVX512 "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c,bmi2"
#ifdef WITH_AVX512_BF16
#define TARGET AVX512 ",avx512bf16"
#else
#define TARGET AVX512
#endif
#include "template/target_begin.h"

#include "template/bits.h"

#include "avx512/vec_random.h"

/* Keep bits of a strip: their address, because mask registers are loaded from memory */

typedef const uint8_t *keep_bits;

static inline keep_bits keep_bits_load(const uint8_t *p) { return p; }

static inline __mmask8 keep_bits_8(keep_bits keep, int v) { return keep[v]; }

static inline __mmask16 keep_bits_16(keep_bits keep, int v)
{
    __mmask16 bits;

    memcpy(&bits, keep + 2 * v, sizeof bits);
    return bits;
}

static inline __mmask32 keep_bits_32(keep_bits keep)
{
    __mmask32 bits;

    memcpy(&bits, keep, sizeof bits);
    return bits;
}

/*
 * Keeps compilers from folding a load into a masked multiplication. That would be a masked load,
 * which AMD's prefetchers do not see.
 */
#define load_by_itself(a) __asm__("" : "+v"(a))

/* The first n lanes. All lanes if n is larger. */
static inline __mmask32 lanes_below(size_t n) { return _bzhi_u32(UINT32_MAX, (unsigned)n); }

/* f32 */

typedef __m512 f32_vec;
typedef f32_vec f32_packed;
typedef __mmask16 f32_mask;
enum { f32_LANES = 16, f32_PARTS = 1 };

static inline f32_vec f32_set1(double x) { return _mm512_set1_ps((float)x); }
static inline f32_vec f32_add(f32_vec a, f32_vec b) { return _mm512_add_ps(a, b); }
static inline f32_vec f32_mul(f32_vec a, f32_vec b) { return _mm512_mul_ps(a, b); }
static inline f32_vec f32_load(const void *p)
{
    f32_vec a = _mm512_loadu_ps(p);

    load_by_itself(a);
    return a;
}

static inline void f32_store(void *p, f32_vec a) { _mm512_storeu_ps(p, a); }
static inline void f32_stream(void *p, f32_vec a) { _mm512_stream_ps(p, a); }

static inline f32_vec f32_load_partial(const void *p, size_t n)
{
    float first;

    memcpy(&first, p, sizeof first);
    return _mm512_mask_loadu_ps(_mm512_set1_ps(first), (__mmask16)lanes_below(n), p);
}

static inline void f32_store_partial(void *p, f32_vec a, size_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)lanes_below(n), a);
}

static inline f32_vec *f32_part(f32_vec *a, int i) { return a + i; }
static inline f32_packed f32_round(f32_vec a) { return a; }

static inline f32_mask f32_keep(keep_bits keep, int v, int part)
{
    (void)part;
    return keep_bits_16(keep, v);
}

static inline uint32_t f32_mask_bits(const f32_mask m[f32_PARTS]) { return m[0]; }

static inline f32_vec f32_select(f32_mask m, f32_vec a, f32_vec b)
{
    return _mm512_mask_blend_ps(m, b, a);
}

static inline f32_mask f32_positive(f32_mask m, f32_vec a)
{
    return _mm512_mask_cmp_ps_mask(m, a, _mm512_setzero_ps(), _CMP_NLE_UQ);
}

static inline f32_vec f32_kept(f32_vec a, keep_bits keep, int v)
{
    return _mm512_maskz_mov_ps(keep_bits_16(keep, v), a);
}

static inline f32_vec f32_only(f32_mask m, f32_vec a) { return _mm512_maskz_mov_ps(m, a); }
static inline f32_vec f32_sub(f32_vec a, f32_vec b) { return _mm512_sub_ps(a, b); }
static inline f32_vec f32_div(f32_vec a, f32_vec b) { return _mm512_div_ps(a, b); }
static inline f32_vec f32_abs(f32_vec a) { return _mm512_abs_ps(a); }
static inline f32_vec f32_sqrt(f32_vec a) { return _mm512_sqrt_ps(a); }

static inline f32_vec f32_from_int32(const uint32_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_loadu_si512(p));
}

static inline f32_vec f32_from_int31(const uint32_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_srli_epi32(_mm512_loadu_si512(p), 1));
}

static inline f32_vec f32_load_f32(const void *p) { return f32_load(p); }

/*
 * By multiplications, which are faster than the division.
 *
 * r is 1 / b rounded to nearest. After the first correction the quotient is off by less than one
 * unit in its last place. So the remainder of a is exact, and the second correction rounds as a
 * division does (Markstein, "Computation of elementary functions on the IBM RISC System/6000
 * processor", 1990). The remainder of a small a may be a denormal and not exact: such vectors
 * divide. An a of 0 has the remainder 0.
 */
static inline f32_vec f32_quotient(f32_vec a, f32_vec b, f32_vec r, int alternate)
{
    const __mmask16 nonzero =
        _mm512_test_epi32_mask(_mm512_castps_si512(a), _mm512_castps_si512(a));
    const __mmask16 small = _mm512_mask_cmp_ps_mask(nonzero, a, f32_set1(0x1p-60), _CMP_LT_OQ);
    f32_vec q = _mm512_mul_ps(a, r);

    (void)alternate; /* the divider takes twice as long as the multiplications */
    if (__builtin_expect(small != 0, 0))
        return f32_div(a, b);
    q = _mm512_fmadd_ps(_mm512_fnmadd_ps(q, b, a), r, q);
    return _mm512_fmadd_ps(_mm512_fnmadd_ps(q, b, a), r, q);
}

/* The sum of four lanes: adds those two apart, then the two that are left. */
static inline float sum_4(__m128 a)
{
    a = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(a, _mm_movehdup_ps(a)));
}

static inline float f32_sum(f32_vec a)
{
    const __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));

    return sum_4(_mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1)));
}

static inline float f32_greatest(f32_vec a)
{
    const __m256 b = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));

    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

/* Where an operand is a NaN, the instructions return the second operand. */
static inline f32_vec f32_max(f32_vec a, f32_vec b) { return _mm512_max_ps(a, b); }

static inline f32_vec f32_clamp(f32_vec a, f32_vec low, f32_vec high)
{
    return _mm512_max_ps(low, _mm512_min_ps(high, a));
}

static inline f32_mask f32_above(f32_mask m, f32_vec a, f32_vec b)
{
    return _mm512_mask_cmp_ps_mask(m, a, b, _CMP_NLE_UQ);
}

/* f64 */

typedef __m512d f64_vec;
typedef f64_vec f64_packed;
typedef __mmask8 f64_mask;
enum { f64_LANES = 8, f64_PARTS = 1 };

static inline f64_vec f64_set1(double x) { return _mm512_set1_pd(x); }
static inline f64_vec f64_add(f64_vec a, f64_vec b) { return _mm512_add_pd(a, b); }
static inline f64_vec f64_mul(f64_vec a, f64_vec b) { return _mm512_mul_pd(a, b); }
static inline f64_vec f64_load(const void *p)
{
    f64_vec a = _mm512_loadu_pd(p);

    load_by_itself(a);
    return a;
}

static inline void f64_store(void *p, f64_vec a) { _mm512_storeu_pd(p, a); }
static inline void f64_stream(void *p, f64_vec a) { _mm512_stream_pd(p, a); }

static inline f64_vec f64_load_partial(const void *p, size_t n)
{
    double first;

    memcpy(&first, p, sizeof first);
    return _mm512_mask_loadu_pd(_mm512_set1_pd(first), (__mmask8)lanes_below(n), p);
}

static inline void f64_store_partial(void *p, f64_vec a, size_t n)
{
    _mm512_mask_storeu_pd(p, (__mmask8)lanes_below(n), a);
}

static inline f64_vec *f64_part(f64_vec *a, int i) { return a + i; }
static inline f64_packed f64_round(f64_vec a) { return a; }

static inline f64_mask f64_keep(keep_bits keep, int v, int part)
{
    (void)part;
    return keep_bits_8(keep, v);
}

static inline uint32_t f64_mask_bits(const f64_mask m[f64_PARTS]) { return m[0]; }

static inline f64_vec f64_select(f64_mask m, f64_vec a, f64_vec b)
{
    return _mm512_mask_blend_pd(m, b, a);
}

static inline f64_mask f64_positive(f64_mask m, f64_vec a)
{
    return _mm512_mask_cmp_pd_mask(m, a, _mm512_setzero_pd(), _CMP_NLE_UQ);
}

static inline f64_vec f64_kept(f64_vec a, keep_bits keep, int v)
{
    return _mm512_maskz_mov_pd(keep_bits_8(keep, v), a);
}

static inline f64_vec f64_only(f64_mask m, f64_vec a) { return _mm512_maskz_mov_pd(m, a); }
static inline f64_vec f64_sub(f64_vec a, f64_vec b) { return _mm512_sub_pd(a, b); }
static inline f64_vec f64_div(f64_vec a, f64_vec b) { return _mm512_div_pd(a, b); }
static inline f64_vec f64_abs(f64_vec a) { return _mm512_abs_pd(a); }
static inline f64_vec f64_load_f32(const void *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }

static inline f64_vec f64_quotient(f64_vec a, f64_vec b, f64_vec r, int alternate)
{
    (void)r;
    (void)alternate;
    return f64_div(a, b);
}

static inline double f64_sum(f64_vec a)
{
    const __m256d b = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    const __m128d c = _mm_add_pd(_mm256_castpd256_pd128(b), _mm256_extractf128_pd(b, 1));

    return _mm_cvtsd_f64(_mm_add_sd(c, _mm_unpackhi_pd(c, c)));
}

static inline double f64_greatest(f64_vec a)
{
    const __m256d b = _mm256_max_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    const __m128d c = _mm_max_pd(_mm256_castpd256_pd128(b), _mm256_extractf128_pd(b, 1));

    return _mm_cvtsd_f64(_mm_max_sd(c, _mm_unpackhi_pd(c, c)));
}

/* Where an operand is a NaN, the instructions return the second operand. */
static inline f64_vec f64_max(f64_vec a, f64_vec b) { return _mm512_max_pd(a, b); }

static inline f64_vec f64_clamp(f64_vec a, f64_vec low, f64_vec high)
{
    return _mm512_max_pd(low, _mm512_min_pd(high, a));
}

static inline f64_mask f64_above(f64_mask m, f64_vec a, f64_vec b)
{
    return _mm512_mask_cmp_pd_mask(m, a, b, _CMP_NLE_UQ);
}

/* Vector math */

typedef struct {
    f32_vec sine, cosine; /* as SLEEF returns them */
} f32_sine_cosine;

#ifdef BITDROP_SLEEF
#if defined(__clang__) && !defined(__AVX512F__)
#error "clang passes vectors to SLEEF in memory unless this file is compiled with -mavx512f"
#endif
__attribute__((const)) f32_vec Sleef_finz_expf16_u10avx512f(f32_vec a);
__attribute__((const)) f64_vec Sleef_finz_expd8_u10avx512f(f64_vec a);
__attribute__((const)) f32_vec Sleef_finz_logf16_u10avx512f(f32_vec a);
__attribute__((const)) f64_vec Sleef_finz_logd8_u10avx512f(f64_vec a);
__attribute__((const)) f64_vec Sleef_finz_erfcd8_u15avx512f(f64_vec a);
f32_sine_cosine Sleef_finz_sincospif16_u05avx512f(f32_vec a); /* not const: it writes memory */

static inline f32_vec f32_exp(f32_vec a) { return Sleef_finz_expf16_u10avx512f(a); }
static inline f64_vec f64_exp(f64_vec a) { return Sleef_finz_expd8_u10avx512f(a); }
static inline f32_vec f32_log(f32_vec a) { return Sleef_finz_logf16_u10avx512f(a); }
static inline f64_vec f64_log(f64_vec a) { return Sleef_finz_logd8_u10avx512f(a); }
static inline f64_vec f64_erfc(f64_vec a) { return Sleef_finz_erfcd8_u15avx512f(a); }

static inline f32_sine_cosine f32_sincospi(f32_vec a)
{
    return Sleef_finz_sincospif16_u05avx512f(a);
}
#else
#include "template/libm.h"
#endif

#include "avx512/vec_halves.h"

static inline void stream_fence(void) { _mm_sfence(); }

#endif
