/* SPDX-License-Identifier: Apache-2.0 */
/*
 * f64, and the conversions of f16, for ARMv7. A part of vec.h.
 *
 * ARMv7's NEON has no doubles. VFP computes them one at a time, and keeps denormals. Conversions of
 * f16 are an extension that Linux does not report, so integer operations convert them. NEON
 * arithmetic reads denormals of f32 as 0. A conversion of f16 meets one only in a number that
 * rounds to 0.
 */
#ifndef BITDROP_NEON_VEC_A32_H
#define BITDROP_NEON_VEC_A32_H

#include <string.h>

typedef struct {
    double e[4];
} f64_vec;
typedef f64_vec f64_packed;
typedef uint32_t f64_mask; /* bit i is lane i; the bits above are 0 */
enum { f64_LANES = 4, f64_PARTS = 1 };

static inline f64_vec f64_set1(double x) { return (f64_vec){{x, x, x, x}}; }

static inline f64_vec f64_load(const void *p)
{
    f64_vec a;

    memcpy(&a, p, sizeof a);
    return a;
}

static inline f64_vec f64_add(f64_vec a, f64_vec b)
{
    for (int i = 0; i < f64_LANES; i++)
        a.e[i] += b.e[i];
    return a;
}

static inline f64_vec f64_mul(f64_vec a, f64_vec b)
{
    for (int i = 0; i < f64_LANES; i++)
        a.e[i] *= b.e[i];
    return a;
}

static inline f64_vec *f64_part(f64_vec *a, int i) { return a + i; }
static inline f64_packed f64_round(f64_vec a) { return a; }

static inline f64_mask f64_keep(keep_bits keep, int v, int part)
{
    (void)part;
    return vgetq_lane_u32(keep.word, 0) >> (f64_LANES * v) & ((1U << f64_LANES) - 1);
}

static inline uint32_t f64_mask_bits(const f64_mask m[f64_PARTS]) { return m[0]; }

static inline f64_vec f64_select(f64_mask m, f64_vec a, f64_vec b)
{
    for (int i = 0; i < f64_LANES; i++)
        a.e[i] = m >> i & 1 ? a.e[i] : b.e[i];
    return a;
}

/* Unlike <=, this comparison raises nothing for quiet NaNs. */
static inline f64_mask f64_positive(f64_mask m, f64_vec a)
{
    for (int i = 0; i < f64_LANES; i++)
        m &= ~((uint32_t)__builtin_islessequal(a.e[i], 0) << i);
    return m;
}

static inline f64_vec f64_only(f64_mask m, f64_vec a) { return f64_select(m, a, f64_set1(0)); }

static inline f64_vec f64_kept(f64_vec a, keep_bits keep, int v)
{
    return f64_only(f64_keep(keep, v, 0), a);
}

static inline void f64_store(void *p, f64_vec a) { memcpy(p, &a, sizeof a); }
static inline void f64_stream(void *p, f64_vec a) { f64_store(p, a); }

static inline f64_vec f64_sub(f64_vec a, f64_vec b)
{
    for (int i = 0; i < f64_LANES; i++)
        a.e[i] -= b.e[i];
    return a;
}

static inline f64_vec f64_div(f64_vec a, f64_vec b)
{
    for (int i = 0; i < f64_LANES; i++)
        a.e[i] /= b.e[i];
    return a;
}

static inline f64_vec f64_abs(f64_vec a)
{
    for (int i = 0; i < f64_LANES; i++)
        a.e[i] = __builtin_fabs(a.e[i]);
    return a;
}

static inline f64_vec f64_max(f64_vec a, f64_vec b)
{
    for (int i = 0; i < f64_LANES; i++)
        a.e[i] = __builtin_isgreater(a.e[i], b.e[i]) ? a.e[i] : b.e[i];
    return a;
}

static inline f64_vec f64_quotient(f64_vec a, f64_vec b, f64_vec r, int alternate)
{
    (void)r;
    (void)alternate;
    return f64_div(a, b);
}

static inline double f64_sum(f64_vec a) { return (a.e[0] + a.e[2]) + (a.e[1] + a.e[3]); }

static inline double f64_greatest(f64_vec a)
{
    double most = a.e[0];

    for (int i = 1; i < f64_LANES; i++)
        most = __builtin_isgreater(a.e[i], most) ? a.e[i] : most;
    return most;
}

static inline f64_vec f64_clamp(f64_vec a, f64_vec low, f64_vec high)
{
    for (int i = 0; i < f64_LANES; i++) {
        const double x = __builtin_isless(a.e[i], low.e[i]) ? low.e[i] : a.e[i];

        a.e[i] = __builtin_isgreater(x, high.e[i]) ? high.e[i] : x;
    }
    return a;
}

static inline f64_mask f64_above(f64_mask m, f64_vec a, f64_vec b)
{
    for (int i = 0; i < f64_LANES; i++)
        m &= ~((uint32_t)__builtin_islessequal(a.e[i], b.e[i]) << i);
    return m;
}

static inline f64_vec f64_load_f32(const void *p)
{
    float x[f64_LANES];
    f64_vec a;

    memcpy(x, p, sizeof x);
    for (int i = 0; i < f64_LANES; i++)
        a.e[i] = x[i];
    return a;
}

/* ARMv7's NEON has no division and no square root. VFP has both, and keeps denormals. */
static inline f32_vec f32_sqrt(f32_vec a)
{
    float x[f32_LANES];

    f32_store(x, a);
    for (int i = 0; i < f32_LANES; i++)
        x[i] = __builtin_sqrtf(x[i]);
    return f32_load(x);
}

static inline f32_vec f32_div(f32_vec a, f32_vec b)
{
    float x[f32_LANES], y[f32_LANES];

    f32_store(x, a);
    f32_store(y, b);
    for (int i = 0; i < f32_LANES; i++)
        x[i] /= y[i];
    return f32_load(x);
}

#include "template/libm.h"

/* 8 elements of f16, as bits, to and from f32 */

static inline float32x4_t f16_widen_4(uint16x4_t bits)
{
    const uint32x4_t h = vmovl_u16(bits);
    const uint32x4_t magnitude = vandq_u32(h, vdupq_n_u32(0x7FFF));
    const uint32x4_t sign = vshlq_n_u32(veorq_u32(h, magnitude), 16);
    const uint32x4_t rebias = vdupq_n_u32(UINT32_C(112) << 23);
    const uint32x4_t special = vcgeq_u32(magnitude, vdupq_n_u32(0x7C00)); /* infinities and NaNs */
    const uint32x4_t normal =
        vaddq_u32(vaddq_u32(vshlq_n_u32(magnitude, 13), rebias), vandq_u32(special, rebias));
    const uint32x4_t denormal = vreinterpretq_u32_f32(vcvtq_n_f32_u32(magnitude, 24));
    const uint32x4_t is_normal = vcgeq_u32(magnitude, vdupq_n_u32(0x400));

    return vreinterpretq_f32_u32(vorrq_u32(sign, vbslq_u32(is_normal, normal, denormal)));
}

static inline f32_vec f16_widen(uint16x8_t bits)
{
    return (f32_vec){{f16_widen_4(vget_low_u16(bits)), f16_widen_4(vget_high_u16(bits))}};
}

static inline uint16x4_t f16_narrow_4(float32x4_t a)
{
    const uint32x4_t u = vreinterpretq_u32_f32(a);
    const uint32x4_t magnitude = vandq_u32(u, vdupq_n_u32(0x7FFFFFFF));
    /* 2^16 and above become infinity; smaller numbers that round to 2^16 do so by their carry */
    const uint32x4_t finite = vminq_u32(magnitude, vdupq_n_u32(0x47800000));
    const uint32x4_t is_odd = vandq_u32(vshrq_n_u32(finite, 13), vdupq_n_u32(1));
    const uint32x4_t unbias = vdupq_n_u32(0xFFF - (UINT32_C(112) << 23));
    const uint32x4_t normal = vshrq_n_u32(vaddq_u32(vaddq_u32(finite, unbias), is_odd), 13);
    /* the last place of 1/2 is 2^-24, as in denormals of f16: so adding 1/2 rounds to it */
    const float32x4_t half = vdupq_n_f32(0.5F);
    const float32x4_t rounded = vaddq_f32(vreinterpretq_f32_u32(magnitude), half);
    const uint32x4_t denormal =
        vsubq_u32(vreinterpretq_u32_f32(rounded), vreinterpretq_u32_f32(half));
    const uint32x4_t is_normal = vcgeq_u32(magnitude, vdupq_n_u32(0x38800000));
    const uint32x4_t number = vbslq_u32(is_normal, normal, denormal);
    const uint32x4_t is_nan = vcgtq_u32(magnitude, vdupq_n_u32(0x7F800000));
    /* the upper payload bits, quiet; later the sign replaces bit 15, and bits above are dropped */
    const uint32x4_t nan = vorrq_u32(vshrq_n_u32(magnitude, 13), vdupq_n_u32(0x7E00));
    const uint32x4_t all = vbslq_u32(is_nan, nan, number);

    return vmovn_u32(vbslq_u32(vdupq_n_u32(0x8000), vshrq_n_u32(u, 16), all));
}

static inline uint16x8_t f16_narrow(f32_vec a)
{
    return vcombine_u16(f16_narrow_4(a.r[0]), f16_narrow_4(a.r[1]));
}

#endif
