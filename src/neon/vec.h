/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary in NEON, of AArch64 and of ARMv7. docs/design.md says what each operation means.
 * ARMv7 has no instructions for f64 and for conversions of f16, so these are in vec_a64.h and
 * vec_a32.h.
 */
#ifndef BITDROP_VEC_H
#define BITDROP_VEC_H

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__arm__) && !defined(__clang__) /* clang needs a flag instead: have.h */
#define TARGET "fpu=neon"
#include "template/target_begin.h"
#endif

#include "template/bits.h"

#include "neon/vec_random.h"

#include "template/plain.h"

/* Keep bits of a strip: the word in every 32-bit lane, and each half of it in every 16-bit lane */

typedef struct {
    uint32x4_t word;
    uint16x8_t half[2];
} keep_bits;

static inline keep_bits keep_bits_load(const uint8_t *p)
{
    const uint32x4_t word = vdupq_n_u32(load_le32(p));
    const uint16x4_t halves = vreinterpret_u16_u32(vget_low_u32(word));

    return (keep_bits){word, {vdupq_lane_u16(halves, 0), vdupq_lane_u16(halves, 1)}};
}

/*
 * A vector has two registers of f32 or f64. One of f16 or bf16 has four registers of f32 and, as
 * stored, two of 16-bit lanes. Since y may be x, compilers do not load the next vector before they
 * have stored this one. CPUs that run in order wait there, and larger vectors make them wait less
 * often.
 */

/* f32 */

typedef struct {
    float32x4_t r[2];
} f32_vec;
typedef f32_vec f32_packed;
typedef struct {
    uint32x4_t r[2];
} f32_mask; /* all ones or all zeros in each lane */
enum { f32_LANES = 8, f32_PARTS = 1 };

static inline f32_vec f32_set1(double x)
{
    const float32x4_t r = vdupq_n_f32((float)x);

    return (f32_vec){{r, r}};
}

static inline f32_vec f32_add(f32_vec a, f32_vec b)
{
    return (f32_vec){{vaddq_f32(a.r[0], b.r[0]), vaddq_f32(a.r[1], b.r[1])}};
}

static inline f32_vec f32_mul(f32_vec a, f32_vec b)
{
    return (f32_vec){{vmulq_f32(a.r[0], b.r[0]), vmulq_f32(a.r[1], b.r[1])}};
}

static inline f32_vec f32_load(const void *p)
{
    const uint8_t *bytes = p;

    return (f32_vec){
        {vreinterpretq_f32_u8(vld1q_u8(bytes)), vreinterpretq_f32_u8(vld1q_u8(bytes + 16))}};
}

static inline void f32_store(void *p, f32_vec a)
{
    uint8_t *bytes = p;

    vst1q_u8(bytes, vreinterpretq_u8_f32(a.r[0]));
    vst1q_u8(bytes + 16, vreinterpretq_u8_f32(a.r[1]));
}

static inline void f32_stream(void *p, f32_vec a) { f32_store(p, a); }

static inline f32_vec *f32_part(f32_vec *a, int i) { return a + i; }
static inline f32_packed f32_round(f32_vec a) { return a; }

/*
 * Of 4 lanes, those whose bit is set in keep. The bit of the first lane is `bit`. That of each next
 * lane is `step` places higher.
 */
static inline uint32x4_t keep_lanes(keep_bits keep, uint32_t bit, int step)
{
    const uint32x4_t bits = {bit, bit << step, bit << 2 * step, bit << 3 * step};

    return vtstq_u32(keep.word, bits);
}

static inline f32_mask f32_keep(keep_bits keep, int v, int part)
{
    const uint32_t bit = UINT32_C(1) << (8 * v);

    (void)part;
    return (f32_mask){{keep_lanes(keep, bit, 1), keep_lanes(keep, bit << 4, 1)}};
}

/*
 * The bits of the lanes of m that are set. `first` and `second` have the bits of all lanes of its
 * two registers. or_lanes makes one word of the result.
 */
static inline uint32x4_t lane_bits(f32_mask m, uint32x4_t first, uint32x4_t second)
{
    return vorrq_u32(vandq_u32(m.r[0], first), vandq_u32(m.r[1], second));
}

static inline uint32_t or_lanes(uint32x4_t a)
{
    const uint32x2_t half = vorr_u32(vget_low_u32(a), vget_high_u32(a));

    return vget_lane_u32(half, 0) | vget_lane_u32(half, 1);
}

static inline uint32_t f32_mask_bits(const f32_mask m[f32_PARTS])
{
    const uint32x4_t first = {1, 2, 4, 8}, second = {16, 32, 64, 128};

    return or_lanes(lane_bits(m[0], first, second));
}

static inline f32_vec f32_select(f32_mask m, f32_vec a, f32_vec b)
{
    return (f32_vec){{vbslq_f32(m.r[0], a.r[0], b.r[0]), vbslq_f32(m.r[1], a.r[1], b.r[1])}};
}

/*
 * Compared as integers, because ARMv7 compares denormals as 0. A lane is above 0 or a NaN if its
 * integer is not 0, which is +0, and is above the integer of -infinity. Of the integers with the
 * sign bit set, only those of NaNs are above it.
 */
static inline f32_mask f32_positive(f32_mask m, f32_vec a)
{
    const int32x4_t negative_infinity = vdupq_n_s32(-0x800000);

    for (int i = 0; i < 2; i++) {
        const uint32x4_t above = vcgtq_s32(vreinterpretq_s32_f32(a.r[i]), negative_infinity);

        m.r[i] = vandq_u32(vtstq_u32(vreinterpretq_u32_f32(a.r[i]), m.r[i]), above);
    }
    return m;
}

static inline f32_vec f32_only(f32_mask m, f32_vec a)
{
    for (int i = 0; i < 2; i++)
        a.r[i] = vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a.r[i]), m.r[i]));
    return a;
}

static inline f32_vec f32_kept(f32_vec a, keep_bits keep, int v)
{
    return f32_only(f32_keep(keep, v, 0), a);
}

static inline f32_vec f32_sub(f32_vec a, f32_vec b)
{
    return (f32_vec){{vsubq_f32(a.r[0], b.r[0]), vsubq_f32(a.r[1], b.r[1])}};
}

static inline f32_vec f32_abs(f32_vec a)
{
    return (f32_vec){{vabsq_f32(a.r[0]), vabsq_f32(a.r[1])}};
}

static inline f32_vec f32_max(f32_vec a, f32_vec b)
{
    return (f32_vec){{vmaxq_f32(a.r[0], b.r[0]), vmaxq_f32(a.r[1], b.r[1])}};
}

static inline f32_vec f32_div(f32_vec a, f32_vec b);

static inline f32_vec f32_quotient(f32_vec a, f32_vec b, f32_vec r, int alternate)
{
    (void)r;
    (void)alternate;
    return f32_div(a, b);
}

/* The sum of four lanes: adds those two apart, then the two that are left. */
static inline float sum_4(float32x4_t a)
{
    const float32x2_t b = vadd_f32(vget_low_f32(a), vget_high_f32(a));

    return vget_lane_f32(vadd_f32(b, vrev64_f32(b)), 0);
}

static inline float f32_sum(f32_vec a) { return sum_4(vaddq_f32(a.r[0], a.r[1])); }

static inline float f32_greatest(f32_vec a)
{
    const float32x4_t b = vmaxq_f32(a.r[0], a.r[1]);
    const float32x2_t c = vmax_f32(vget_low_f32(b), vget_high_f32(b));

    return vget_lane_f32(vmax_f32(c, vrev64_f32(c)), 0);
}
static inline f32_vec f32_from_int32(const uint32_t *p)
{
    const int32x4_t first = vreinterpretq_s32_u32(vec_load(p));
    const int32x4_t second = vreinterpretq_s32_u32(vec_load(p + 4));

    return (f32_vec){{vcvtq_f32_s32(first), vcvtq_f32_s32(second)}};
}

static inline f32_vec f32_from_int31(const uint32_t *p)
{
    const uint32x4_t first = vshrq_n_u32(vec_load(p), 1), second = vshrq_n_u32(vec_load(p + 4), 1);

    return (f32_vec){{vcvtq_f32_u32(first), vcvtq_f32_u32(second)}};
}

static inline f32_vec f32_load_f32(const void *p) { return f32_load(p); }

static inline f32_vec f32_clamp(f32_vec a, f32_vec low, f32_vec high)
{
    for (int i = 0; i < 2; i++)
        a.r[i] = vmaxq_f32(vminq_f32(a.r[i], high.r[i]), low.r[i]);
    return a;
}

static inline f32_mask f32_above(f32_mask m, f32_vec a, f32_vec b)
{
    for (int i = 0; i < 2; i++)
        m.r[i] = vbicq_u32(m.r[i], vcleq_f32(a.r[i], b.r[i]));
    return m;
}

typedef struct {
    f32_vec sine, cosine;
} f32_sine_cosine;

#ifdef __aarch64__
#include "neon/vec_a64.h"
#else
#include "neon/vec_a32.h"
#endif

#include "neon/vec_halves.h"

static inline void stream_fence(void) {}

#endif
