/* SPDX-License-Identifier: Apache-2.0 */
/* f64, and the conversions of f16, which are instructions of AArch64. A part of vec.h. */
#ifndef BITDROP_NEON_VEC_A64_H
#define BITDROP_NEON_VEC_A64_H

typedef struct {
    float64x2_t r[2];
} f64_vec;
typedef f64_vec f64_packed;
typedef struct {
    uint64x2_t r[2];
} f64_mask; /* all ones or all zeros in each lane */
enum { f64_LANES = 4, f64_PARTS = 1 };

static inline f64_vec f64_set1(double x)
{
    const float64x2_t r = vdupq_n_f64(x);

    return (f64_vec){{r, r}};
}

static inline f64_vec f64_add(f64_vec a, f64_vec b)
{
    return (f64_vec){{vaddq_f64(a.r[0], b.r[0]), vaddq_f64(a.r[1], b.r[1])}};
}

static inline f64_vec f64_mul(f64_vec a, f64_vec b)
{
    return (f64_vec){{vmulq_f64(a.r[0], b.r[0]), vmulq_f64(a.r[1], b.r[1])}};
}

static inline f64_vec f64_load(const void *p)
{
    const uint8_t *bytes = p;

    return (f64_vec){
        {vreinterpretq_f64_u8(vld1q_u8(bytes)), vreinterpretq_f64_u8(vld1q_u8(bytes + 16))}};
}

static inline void f64_store(void *p, f64_vec a)
{
    uint8_t *bytes = p;

    vst1q_u8(bytes, vreinterpretq_u8_f64(a.r[0]));
    vst1q_u8(bytes + 16, vreinterpretq_u8_f64(a.r[1]));
}

static inline void f64_stream(void *p, f64_vec a) { f64_store(p, a); }

static inline f64_vec *f64_part(f64_vec *a, int i) { return a + i; }
static inline f64_packed f64_round(f64_vec a) { return a; }

static inline f64_mask f64_keep(keep_bits keep, int v, int part)
{
    f64_mask m;

    (void)part;
    for (int i = 0; i < 2; i++) {
        const uint32_t bit = UINT32_C(1) << (4 * v + 2 * i);
        const uint32x4_t bits = {bit, bit, bit << 1, bit << 1};

        m.r[i] = vreinterpretq_u64_u32(vtstq_u32(keep.word, bits));
    }
    return m;
}

static inline uint32_t f64_mask_bits(const f64_mask m[f64_PARTS])
{
    const uint32x4_t lanes = vmovn_high_u64(vmovn_u64(m[0].r[0]), m[0].r[1]);
    const uint32x4_t bits = {1, 2, 4, 8};

    return or_lanes(vandq_u32(lanes, bits));
}

static inline f64_vec f64_select(f64_mask m, f64_vec a, f64_vec b)
{
    return (f64_vec){{vbslq_f64(m.r[0], a.r[0], b.r[0]), vbslq_f64(m.r[1], a.r[1], b.r[1])}};
}

/* In the same way as f32_positive. */
static inline f64_mask f64_positive(f64_mask m, f64_vec a)
{
    const int64x2_t negative_infinity = vdupq_n_s64(-INT64_C(0x10000000000000));

    for (int i = 0; i < 2; i++) {
        const uint64x2_t above = vcgtq_s64(vreinterpretq_s64_f64(a.r[i]), negative_infinity);

        m.r[i] = vandq_u64(vtstq_u64(vreinterpretq_u64_f64(a.r[i]), m.r[i]), above);
    }
    return m;
}

static inline f64_vec f64_only(f64_mask m, f64_vec a)
{
    for (int i = 0; i < 2; i++)
        a.r[i] = vreinterpretq_f64_u64(vandq_u64(vreinterpretq_u64_f64(a.r[i]), m.r[i]));
    return a;
}

static inline f64_vec f64_kept(f64_vec a, keep_bits keep, int v)
{
    return f64_only(f64_keep(keep, v, 0), a);
}

static inline f64_vec f64_sub(f64_vec a, f64_vec b)
{
    return (f64_vec){{vsubq_f64(a.r[0], b.r[0]), vsubq_f64(a.r[1], b.r[1])}};
}

static inline f64_vec f64_div(f64_vec a, f64_vec b)
{
    return (f64_vec){{vdivq_f64(a.r[0], b.r[0]), vdivq_f64(a.r[1], b.r[1])}};
}

static inline f64_vec f64_abs(f64_vec a)
{
    return (f64_vec){{vabsq_f64(a.r[0]), vabsq_f64(a.r[1])}};
}

static inline f64_vec f64_max(f64_vec a, f64_vec b)
{
    return (f64_vec){{vmaxq_f64(a.r[0], b.r[0]), vmaxq_f64(a.r[1], b.r[1])}};
}

static inline f64_vec f64_quotient(f64_vec a, f64_vec b, f64_vec r, int alternate)
{
    (void)r;
    (void)alternate;
    return f64_div(a, b);
}

static inline double f64_sum(f64_vec a) { return vaddvq_f64(vaddq_f64(a.r[0], a.r[1])); }
static inline double f64_greatest(f64_vec a) { return vmaxvq_f64(vmaxq_f64(a.r[0], a.r[1])); }

static inline f64_vec f64_clamp(f64_vec a, f64_vec low, f64_vec high)
{
    for (int i = 0; i < 2; i++)
        a.r[i] = vmaxq_f64(vminq_f64(a.r[i], high.r[i]), low.r[i]);
    return a;
}

static inline f64_mask f64_above(f64_mask m, f64_vec a, f64_vec b)
{
    for (int i = 0; i < 2; i++)
        m.r[i] = vbicq_u64(m.r[i], vcleq_f64(a.r[i], b.r[i]));
    return m;
}

static inline f64_vec f64_load_f32(const void *p)
{
    const float32x4_t x = vreinterpretq_f32_u8(vld1q_u8(p));

    return (f64_vec){{vcvt_f64_f32(vget_low_f32(x)), vcvt_high_f64_f32(x)}};
}

/* Division and roots, which are instructions of AArch64, and vector math */

static inline f32_vec f32_sqrt(f32_vec a)
{
    return (f32_vec){{vsqrtq_f32(a.r[0]), vsqrtq_f32(a.r[1])}};
}

static inline f32_vec f32_div(f32_vec a, f32_vec b)
{
    return (f32_vec){{vdivq_f32(a.r[0], b.r[0]), vdivq_f32(a.r[1], b.r[1])}};
}

#ifdef BITDROP_SLEEF
__attribute__((const)) float32x4_t Sleef_finz_expf4_u10advsimd(float32x4_t a);
__attribute__((const)) float64x2_t Sleef_finz_expd2_u10advsimd(float64x2_t a);
__attribute__((const)) float64x2_t Sleef_finz_erfcd2_u15advsimd(float64x2_t a);
__attribute__((const)) float32x4_t Sleef_finz_logf4_u10advsimd(float32x4_t a);
__attribute__((const)) float64x2_t Sleef_finz_logd2_u10advsimd(float64x2_t a);

typedef struct {
    float32x4_t sine, cosine;
} sine_cosine_4;
sine_cosine_4 Sleef_finz_sincospif4_u05advsimd(float32x4_t a);

static inline f32_vec f32_exp(f32_vec a)
{
    return (f32_vec){{Sleef_finz_expf4_u10advsimd(a.r[0]), Sleef_finz_expf4_u10advsimd(a.r[1])}};
}

static inline f64_vec f64_exp(f64_vec a)
{
    return (f64_vec){{Sleef_finz_expd2_u10advsimd(a.r[0]), Sleef_finz_expd2_u10advsimd(a.r[1])}};
}

static inline f32_vec f32_log(f32_vec a)
{
    return (f32_vec){{Sleef_finz_logf4_u10advsimd(a.r[0]), Sleef_finz_logf4_u10advsimd(a.r[1])}};
}

static inline f64_vec f64_log(f64_vec a)
{
    return (f64_vec){{Sleef_finz_logd2_u10advsimd(a.r[0]), Sleef_finz_logd2_u10advsimd(a.r[1])}};
}

static inline f64_vec f64_erfc(f64_vec a)
{
    return (f64_vec){{Sleef_finz_erfcd2_u15advsimd(a.r[0]), Sleef_finz_erfcd2_u15advsimd(a.r[1])}};
}

static inline f32_sine_cosine f32_sincospi(f32_vec a)
{
    const sine_cosine_4 first = Sleef_finz_sincospif4_u05advsimd(a.r[0]);
    const sine_cosine_4 second = Sleef_finz_sincospif4_u05advsimd(a.r[1]);

    return (f32_sine_cosine){{{first.sine, second.sine}}, {{first.cosine, second.cosine}}};
}
#else
#include "template/libm.h"
#endif

/* 8 elements of f16, as bits, to and from f32 */

static inline f32_vec f16_widen(uint16x8_t bits)
{
    const float16x8_t h = vreinterpretq_f16_u16(bits);

    return (f32_vec){{vcvt_f32_f16(vget_low_f16(h)), vcvt_high_f32_f16(h)}};
}

static inline uint16x8_t f16_narrow(f32_vec a)
{
    return vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(a.r[0]), a.r[1]));
}

#endif
