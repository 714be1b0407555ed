/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary in plain C, where a vector is one word or one element. docs/design.md says what
 * each operation means. In the other folders the same names mean the same.
 */
#ifndef BITDROP_VEC_H
#define BITDROP_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "template/bits.h"

/* Random words */

typedef uint32_t vec;
enum { LANES = 1, CHAINS = 2, VECS = 4, INTERLEAVED_PLANES = 2 };

static inline vec vec_set1(uint32_t x) { return x; }
static inline vec vec_load(const uint32_t *p) { return *p; }
static inline void vec_store(uint32_t *p, vec a) { *p = a; }
static inline vec vec_blocks(uint32_t g) { return g; }
static inline vec vec_blocks_load(const uint32_t *g) { return *g; }
static inline vec vec_add(vec a, vec b) { return a + b; }
static inline vec vec_xor(vec a, vec b) { return a ^ b; }
static inline vec vec_xor_key(vec a, vec b, const uint32_t *key) { return a ^ b ^ *key; }
static inline vec vec_and(vec a, vec b) { return a & b; }
static inline vec vec_andnot(vec a, vec b) { return a & ~b; }
static inline vec vec_or(vec a, vec b) { return a | b; }
static inline vec vec_or_and(vec a, vec b, vec c) { return a | (b & c); }

static inline void vec_mul(vec a, uint32_t m, vec *hi, vec *lo)
{
    const uint64_t product = (uint64_t)a * m;
    uint64_t high = product >> 32;

#ifdef __clang__
    /*
     * With AVX512DQ, the SLP vectorizer of clang 19.1 narrows this product to 32 bits, because the
     * low half needs no more, and the high half then gets sign bits. So hide from it that both
     * halves come from one product.
     */
    __asm__("" : "+r"(high));
#endif
    *hi = (uint32_t)high;
    *lo = (uint32_t)product;
}

static inline void vec_mul_pack(vec a, uint32_t m, vec b, const uint32_t *key, vec packed[VECS / 2])
{
    vec hi;

    vec_mul(a, m, &hi, &packed[1]);
    packed[0] = vec_xor_key(hi, b, key);
}

static inline void vec_planes_store(uint8_t *p, const vec planes[VECS])
{
    for (int v = 0; v < VECS; v++)
        store_le32(p + 4 * v, planes[v]);
}

#include "template/plain.h"

/* Keep bits of a strip */

typedef uint32_t keep_bits;

static inline keep_bits keep_bits_load(const uint8_t *p) { return load_le32(p); }

/*
 * All ones if element v is kept, else 0. The bit comes from a table and not from a shift. Compilers
 * vectorize this, but SSE2 cannot shift lanes by different counts, and what clang does instead has
 * a conversion from float that raises FE_INVALID.
 */
static inline uint32_t keep_mask(keep_bits keep, int v)
{
#define BITS_4(n) 1U << (n), 2U << (n), 4U << (n), 8U << (n)
    static const uint32_t bit[32] = {BITS_4(0),  BITS_4(4),  BITS_4(8),  BITS_4(12),
                                     BITS_4(16), BITS_4(20), BITS_4(24), BITS_4(28)};

    return (keep & bit[v]) != 0 ? UINT32_MAX : 0;
}

static inline float float_from_bits(uint32_t u)
{
    float x;

    memcpy(&x, &u, sizeof x);
    return x;
}

static inline uint32_t float_bits(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    return u;
}

/* All ones or 0. */
static inline uint32_t all_if(bool condition) { return -(uint32_t)condition; }

static inline uint32_t select_32(bool condition, uint32_t a, uint32_t b)
{
    return (a & all_if(condition)) | (b & ~all_if(condition));
}

/* f32 */

typedef float f32_vec;
typedef f32_vec f32_packed;
typedef uint32_t f32_mask;
enum { f32_LANES = 1, f32_PARTS = 1 };

static inline f32_vec f32_set1(double x) { return (float)x; }
static inline f32_vec f32_add(f32_vec a, f32_vec b) { return a + b; }
static inline f32_vec f32_mul(f32_vec a, f32_vec b) { return a * b; }
static inline f32_vec *f32_part(f32_vec *a, int i) { return a + i; }
static inline f32_packed f32_round(f32_vec a) { return a; }

static inline f32_mask f32_keep(keep_bits keep, int v, int part)
{
    (void)part;
    return keep_mask(keep, v);
}

static inline uint32_t f32_mask_bits(const f32_mask m[f32_PARTS]) { return m[0] & 1; }
static inline f32_mask f32_positive(f32_mask m, f32_vec a)
{
    return m & ~all_if(__builtin_islessequal(a, 0));
}

static inline f32_vec f32_select(f32_mask m, f32_vec a, f32_vec b)
{
    return float_from_bits((float_bits(a) & m) | (float_bits(b) & ~m));
}

static inline f32_vec f32_kept(f32_vec a, keep_bits keep, int v)
{
    return float_from_bits(float_bits(a) & keep_mask(keep, v));
}

static inline f32_vec f32_load(const void *p)
{
    float x;

    memcpy(&x, p, sizeof x);
    return x;
}

static inline void f32_store(void *p, f32_vec a) { memcpy(p, &a, sizeof a); }
static inline void f32_stream(void *p, f32_vec a) { f32_store(p, a); }

static inline f32_vec f32_only(f32_mask m, f32_vec a) { return float_from_bits(float_bits(a) & m); }
static inline f32_vec f32_sub(f32_vec a, f32_vec b) { return a - b; }
static inline f32_vec f32_div(f32_vec a, f32_vec b) { return a / b; }
static inline f32_vec f32_abs(f32_vec a) { return __builtin_fabsf(a); }
static inline f32_vec f32_max(f32_vec a, f32_vec b) { return __builtin_isgreater(a, b) ? a : b; }
static inline f32_vec f32_quotient(f32_vec a, f32_vec b, f32_vec r, int alternate)
{
    (void)r;
    (void)alternate;
    return f32_div(a, b);
}

static inline float f32_sum(f32_vec a) { return a; }
static inline float f32_greatest(f32_vec a) { return a; }
static inline f32_vec f32_sqrt(f32_vec a) { return __builtin_sqrtf(a); }
static inline f32_vec f32_from_int32(const uint32_t *p) { return (float)(int32_t)*p; }
static inline f32_vec f32_from_int31(const uint32_t *p) { return (float)(int32_t)(*p >> 1); }
static inline f32_vec f32_load_f32(const void *p) { return f32_load(p); }

/* Unlike <, these comparisons raise nothing for quiet NaNs. */
static inline f32_vec f32_clamp(f32_vec a, f32_vec low, f32_vec high)
{
    const f32_vec b = __builtin_isless(a, low) ? low : a;

    return __builtin_isgreater(b, high) ? high : b;
}

static inline f32_mask f32_above(f32_mask m, f32_vec a, f32_vec b)
{
    return m & ~all_if(__builtin_islessequal(a, b));
}

/* f64 */

typedef double f64_vec;
typedef f64_vec f64_packed;
typedef uint64_t f64_mask;
enum { f64_LANES = 1, f64_PARTS = 1 };

static inline f64_vec f64_set1(double x) { return x; }
static inline f64_vec f64_add(f64_vec a, f64_vec b) { return a + b; }
static inline f64_vec f64_mul(f64_vec a, f64_vec b) { return a * b; }
static inline f64_vec *f64_part(f64_vec *a, int i) { return a + i; }
static inline f64_packed f64_round(f64_vec a) { return a; }

static inline f64_mask f64_keep(keep_bits keep, int v, int part)
{
    const uint32_t half = keep_mask(keep, v);

    (void)part;
    return (uint64_t)half << 32 | half;
}

static inline uint32_t f64_mask_bits(const f64_mask m[f64_PARTS]) { return m[0] & 1; }
static inline f64_mask f64_positive(f64_mask m, f64_vec a)
{
    return m & ~-(uint64_t)__builtin_islessequal(a, 0);
}

static inline f64_vec f64_select(f64_mask m, f64_vec a, f64_vec b)
{
    uint64_t ua, ub;

    memcpy(&ua, &a, sizeof ua);
    memcpy(&ub, &b, sizeof ub);
    ua = (ua & m) | (ub & ~m);
    memcpy(&a, &ua, sizeof a);
    return a;
}

static inline f64_vec f64_kept(f64_vec a, keep_bits keep, int v)
{
    return f64_select(f64_keep(keep, v, 0), a, 0);
}

static inline f64_vec f64_load(const void *p)
{
    double x;

    memcpy(&x, p, sizeof x);
    return x;
}

static inline void f64_store(void *p, f64_vec a) { memcpy(p, &a, sizeof a); }
static inline void f64_stream(void *p, f64_vec a) { f64_store(p, a); }

static inline f64_vec f64_only(f64_mask m, f64_vec a) { return f64_select(m, a, 0); }
static inline f64_vec f64_sub(f64_vec a, f64_vec b) { return a - b; }
static inline f64_vec f64_div(f64_vec a, f64_vec b) { return a / b; }
static inline f64_vec f64_abs(f64_vec a) { return __builtin_fabs(a); }
static inline f64_vec f64_max(f64_vec a, f64_vec b) { return __builtin_isgreater(a, b) ? a : b; }
static inline f64_vec f64_quotient(f64_vec a, f64_vec b, f64_vec r, int alternate)
{
    (void)r;
    (void)alternate;
    return f64_div(a, b);
}

static inline double f64_sum(f64_vec a) { return a; }
static inline double f64_greatest(f64_vec a) { return a; }
static inline f64_vec f64_load_f32(const void *p) { return f32_load(p); }

/* Unlike <, these comparisons raise nothing for quiet NaNs. */
static inline f64_vec f64_clamp(f64_vec a, f64_vec low, f64_vec high)
{
    const f64_vec b = __builtin_isless(a, low) ? low : a;

    return __builtin_isgreater(b, high) ? high : b;
}

static inline f64_mask f64_above(f64_mask m, f64_vec a, f64_vec b)
{
    return m & ~-(uint64_t)__builtin_islessequal(a, b);
}

/* Vector math */

typedef struct {
    f32_vec sine, cosine;
} f32_sine_cosine;

#ifdef BITDROP_SLEEF
#include "scalar/math.h"

static inline f32_vec f32_exp(f32_vec a) { return bitdrop_exp_f32(a); }
static inline f64_vec f64_exp(f64_vec a) { return bitdrop_exp_f64(a); }
static inline f32_vec f32_log(f32_vec a) { return bitdrop_log_f32(a); }
static inline f64_vec f64_log(f64_vec a) { return bitdrop_log_f64(a); }
static inline f64_vec f64_erfc(f64_vec a) { return bitdrop_erfc_f64(a); }

static inline f32_sine_cosine f32_sincospi(f32_vec a)
{
    f32_sine_cosine y;

    bitdrop_sincospi_f32(a, &y.sine, &y.cosine);
    return y;
}
#else
#include "template/libm.h"
#endif

/*
 * f16. All except denormals are converted in integers. There are no branches, because gcc does not
 * vectorize them.
 */

typedef uint16_t f16_packed;

static inline f32_vec f16_load(const void *p)
{
    uint16_t h;

    memcpy(&h, p, sizeof h);
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t magnitude = h & 0x7FFF;

    const uint32_t rebias = UINT32_C(112) << 23;
    const uint32_t special = all_if(magnitude >= 0x7C00) & rebias; /* infinities and NaNs */
    const uint32_t normal = (magnitude << 13) + rebias + special;
    const uint32_t denormal = float_bits((float)(int32_t)magnitude * 0x1p-24F);

    return float_from_bits(sign | select_32(magnitude >= 0x400, normal, denormal));
}

static inline f16_packed f16_round(f32_vec a)
{
    const uint32_t u = float_bits(a);
    const uint32_t magnitude = u & 0x7FFFFFFF;
    const uint32_t nan = 0x7E00 | (magnitude >> 13 & 0x3FF); /* the upper payload bits, quiet */
    const uint32_t normal =
        (magnitude - (UINT32_C(112) << 23) + 0xFFF + (magnitude >> 13 & 1)) >> 13;
    /* the last place of 1/2 is 2^-24, as in denormals of f16: so adding 1/2 rounds to it */
    const uint32_t tiny = select_32(magnitude < 0x38800000, magnitude, 0);
    const uint32_t denormal = float_bits(float_from_bits(tiny) + 0.5F) - float_bits(0.5F);
    uint32_t h = select_32(magnitude >= 0x38800000, normal, denormal);

    h = select_32(magnitude >= 0x47800000, 0x7C00, h); /* infinity from 2^16 on */
    h = select_32(magnitude > 0x7F800000, nan, h);
    return (uint16_t)(h | (u >> 16 & 0x8000));
}

#include "template/f16_as_f32.h"

static inline void f16_store(void *p, f16_packed a) { memcpy(p, &a, sizeof a); }
static inline void f16_stream(void *p, f16_packed a) { f16_store(p, a); }

/* bf16: rounded in integers */

typedef f32_vec bf16_vec;
typedef uint16_t bf16_packed;
enum { bf16_LANES = f32_LANES, bf16_PARTS = 1 };

static inline bf16_vec bf16_load(const void *p)
{
    uint16_t h;

    memcpy(&h, p, sizeof h);
    return float_from_bits((uint32_t)h << 16);
}

static inline bf16_vec bf16_load_f32(const void *p) { return f32_load(p); }
static inline bf16_vec bf16_mul(bf16_vec a, f32_vec b) { return f32_mul(a, b); }

static inline f32_vec *bf16_part(bf16_vec *a, int i) { return a + i; }
static inline float bf16_sum(bf16_vec a) { return a; }
static inline uint32_t bf16_mask_bits(const f32_mask m[bf16_PARTS]) { return f32_mask_bits(m); }

static inline f32_mask bf16_keep(keep_bits keep, int v, int part)
{
    return f32_keep(keep, v, part);
}

static inline bf16_packed bf16_round(bf16_vec a)
{
    const uint32_t u = float_bits(a);
    const uint32_t quiet = u | 0x400000, up = u + 0x7FFF + (u >> 16 & 1);

    return (uint16_t)(select_32((u & 0x7FFFFFFF) > 0x7F800000, quiet, up) >> 16);
}

/* If a product of bf16 numbers is a NaN, its lower half is 0. So it is not rounded up. */
static inline bf16_packed bf16_kept(bf16_vec a, keep_bits keep, int v)
{
    const uint32_t u = float_bits(a) & keep_mask(keep, v);

    return (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

static inline void bf16_store(void *p, bf16_packed a) { memcpy(p, &a, sizeof a); }
static inline void bf16_stream(void *p, bf16_packed a) { bf16_store(p, a); }

PLAIN_PARTIAL(f32, 4)
PLAIN_PARTIAL(f64, 8)
PLAIN_PARTIAL(f16, 2)
PLAIN_PARTIAL(bf16, 2)

static inline void stream_fence(void) {}

#endif
