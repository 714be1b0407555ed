/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary in AVX-512 F, BW, DQ and VL, and in AVX512_BF16 if WITH_AVX512_BF16 is defined.
 * docs/design.md says what each operation means.
 */
#ifndef BITDROP_AVX512_VEC_H
#define BITDROP_AVX512_VEC_H

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

/* Random words: each in the low half of a 64-bit lane, which vpmuludq reads; above it is dirt */

typedef __m512i vec;
enum { LANES = 8, CHAINS = 2, VECS = 2, INTERLEAVED_PLANES = 1 };

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

/* The product has both words, the high one where it belongs: b goes there. */
static inline void vec_mul_pack(vec a, uint32_t m, vec b, const uint32_t *key, vec packed[VECS / 2])
{
    const vec product = _mm512_mul_epu32(a, vec_set1(m));
    const vec up = _mm512_shuffle_epi32(b, _MM_PERM_CCAA);

    packed[0] = _mm512_mask_ternarylogic_epi32(product, 0xAAAA, up, vec_set1(*key), 0x96);
}

/* Of the lanes of planes[0], low and high are words 1 and 0 of a block; of planes[1] 3 and 2. */
static inline void vec_planes_store(uint8_t *p, const vec planes[VECS])
{
    const __m512 words10 = _mm512_castsi512_ps(planes[0]);
    const __m512 words32 = _mm512_castsi512_ps(planes[1]);

    _mm512_storeu_ps(p, _mm512_shuffle_ps(words10, words32, _MM_SHUFFLE(0, 1, 0, 1)));
    _mm512_storeu_ps(p + 64, _mm512_shuffle_ps(words10, words32, _MM_SHUFFLE(2, 3, 2, 3)));
}

/* Full vectors: a word in each half of a lane */

enum { FULL_LANES = 16 };

static inline vec full_load(const uint32_t *p) { return _mm512_loadu_si512(p); }
static inline vec full_load_bytes(const uint8_t *p) { return _mm512_loadu_si512(p); }
static inline void full_store(uint32_t *p, vec a) { _mm512_storeu_si512(p, a); }

static inline vec full_index(uint32_t first)
{
    return _mm512_add_epi32(
        vec_set1(first), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

static inline void full_spread(const vec full[1], vec lanes[CHAINS])
{
    lanes[0] = full[0];
    lanes[1] = _mm512_srli_epi64(full[0], 32);
}

static inline void full_join(const vec lanes[CHAINS], vec full[1])
{
    full[0] = _mm512_mask_shuffle_epi32(lanes[0], 0xAAAA, lanes[1], _MM_PERM_CCAA);
}

/* vpcompressd goes to a register, because to memory it is slow on Zen 4. */
static inline size_t full_pick(uint32_t *at, uint32_t *open, vec index, vec words)
{
    const __mmask16 some = _mm512_test_epi32_mask(words, words);

    _mm512_storeu_si512(at, _mm512_mask_compress_epi32(index, some, index));
    _mm512_storeu_si512(open, _mm512_maskz_compress_epi32(some, words));
    return (size_t)__builtin_popcount(some);
}

/* Keep bits of a strip: where they are. Mask registers are loaded from there. */

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
 * Keeps compilers from making a load an operand of a masked multiplication. AMD's prefetchers do
 * not see masked loads.
 */
#define load_by_itself(a) __asm__("" : "+v"(a))

/* The first n lanes, or all. */
static inline __mmask32 few_lanes(size_t n) { return _bzhi_u32(UINT32_MAX, (unsigned)n); }

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

static inline f32_vec f32_load_few(const void *p, size_t n)
{
    float first;

    memcpy(&first, p, sizeof first);
    return _mm512_mask_loadu_ps(_mm512_set1_ps(first), (__mmask16)few_lanes(n), p);
}

static inline void f32_store_few(void *p, f32_vec a, size_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)few_lanes(n), a);
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
 * By multiplications, which are faster than the division. r is 1 / b rounded to nearest. The first
 * correction makes a quotient that is off by less than a unit in its last place, so what is left of
 * a is exact, and the second correction rounds as a division does (Markstein, "Computation of
 * elementary functions on the IBM RISC System/6000 processor", 1990). What is left of a small
 * number may be a denormal and not exact; 0 has nothing left.
 */
static inline f32_vec f32_quotient(f32_vec a, f32_vec b, f32_vec r, int turn)
{
    const __mmask16 some = _mm512_test_epi32_mask(_mm512_castps_si512(a), _mm512_castps_si512(a));
    const __mmask16 small = _mm512_mask_cmp_ps_mask(some, a, f32_set1(0x1p-60), _CMP_LT_OQ);
    f32_vec q = _mm512_mul_ps(a, r);

    (void)turn; /* its divider takes twice as long as the multiplications */
    if (__builtin_expect(small != 0, 0))
        return f32_div(a, b);
    q = _mm512_fmadd_ps(_mm512_fnmadd_ps(q, b, a), r, q);
    return _mm512_fmadd_ps(_mm512_fnmadd_ps(q, b, a), r, q);
}

/* The sum of four lanes: those two apart, then the neighbours. */
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

/* Where there is a NaN, the instructions take their second operand. */
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

static inline f64_vec f64_load_few(const void *p, size_t n)
{
    double first;

    memcpy(&first, p, sizeof first);
    return _mm512_mask_loadu_pd(_mm512_set1_pd(first), (__mmask8)few_lanes(n), p);
}

static inline void f64_store_few(void *p, f64_vec a, size_t n)
{
    _mm512_mask_storeu_pd(p, (__mmask8)few_lanes(n), a);
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

static inline f64_vec f64_quotient(f64_vec a, f64_vec b, f64_vec r, int turn)
{
    (void)r;
    (void)turn;
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

/* Where there is a NaN, the instructions take their second operand. */
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

/* f16: the conversions round as told and never flush */

typedef f32_vec f16_vec;
typedef __m256i f16_packed;
enum { f16_LANES = f32_LANES, f16_PARTS = 1 };

static inline f16_vec f16_load(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline f16_vec f16_load_f32(const void *p) { return f32_load(p); }
static inline f16_vec f16_mul(f16_vec a, f32_vec b) { return f32_mul(a, b); }

static inline f32_vec *f16_part(f16_vec *a, int i) { return a + i; }
static inline float f16_sum(f16_vec a) { return f32_sum(a); }
static inline f32_mask f16_keep(keep_bits keep, int v, int part) { return f32_keep(keep, v, part); }
static inline uint32_t f16_mask_bits(const f32_mask m[f16_PARTS]) { return f32_mask_bits(m); }

static inline f16_packed f16_round(f16_vec a)
{
    return _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline f16_packed f16_kept(f16_vec a, keep_bits keep, int v)
{
    return f16_round(f32_kept(a, keep, v));
}

static inline void f16_store(void *p, f16_packed a) { _mm256_storeu_si256((__m256i *)p, a); }
static inline void f16_stream(void *p, f16_packed a) { _mm256_stream_si256((__m256i *)p, a); }

static inline f16_vec f16_load_few(const void *p, size_t n)
{
    short first;

    memcpy(&first, p, sizeof first);
    return _mm512_cvtph_ps(
        _mm256_mask_loadu_epi16(_mm256_set1_epi16(first), (__mmask16)few_lanes(n), p));
}

static inline void f16_store_few(void *p, f16_packed a, size_t n)
{
    _mm256_mask_storeu_epi16(p, (__mmask16)few_lanes(n), a);
}

/* bf16: the even and the odd elements of a vector, each the upper half of an f32 */

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

static inline bf16_vec bf16_load_few(const void *p, size_t n)
{
    short first;

    memcpy(&first, p, sizeof first);
    return bf16_unpack(_mm512_mask_loadu_epi16(_mm512_set1_epi16(first), few_lanes(n), p));
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

/* Every other bit, by an instruction that is slow on Zen 1 and 2 alone, which have no AVX-512. */
static inline f32_mask bf16_keep(keep_bits keep, int v, int part)
{
    (void)v; /* there is one */
    return (f32_mask)_pext_u32(keep_bits_32(keep), part == 0 ? 0x55555555 : 0xAAAAAAAA);
}

static inline uint32_t bf16_mask_bits(const f32_mask m[bf16_PARTS])
{
    const __m512i even = _mm512_maskz_set1_epi32(m[0], 0xFFFF);

    return _mm512_movepi16_mask(_mm512_mask_or_epi32(even, m[1], even, vec_set1(0xFFFF0000)));
}

/*
 * Products, rounded in words, all together: up if the lower half is above 0x8000, or is that and
 * the upper half is odd. If a product is a NaN its lower half is 0, so it is not rounded up.
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

/* To nearest even, in the upper half of each lane. A NaN is cut off and made quiet instead. */
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
/* The instruction takes denormals for 0 and makes none: where there is one, it is not used. */
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
    (void)v; /* there is one */
    return bf16_has_denormals(a) ? bf16_rounded(a, keep_bits_32(keep))
                                 : bf16_by_instruction(a, keep_bits_32(keep));
}
#else
static inline bf16_packed bf16_round(bf16_vec a) { return bf16_round_any(a); }

static inline bf16_packed bf16_kept(bf16_vec a, keep_bits keep, int v)
{
    (void)v; /* there is one */
    return bf16_rounded(a, keep_bits_32(keep));
}
#endif

static inline void bf16_store(void *p, bf16_packed a) { _mm512_storeu_si512(p, a); }
static inline void bf16_stream(void *p, bf16_packed a) { _mm512_stream_si512(p, a); }

static inline void bf16_store_few(void *p, bf16_packed a, size_t n)
{
    _mm512_mask_storeu_epi16(p, few_lanes(n), a);
}

static inline void stream_fence(void) { _mm_sfence(); }

#endif
