/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary in NEON, of AArch64 and of ARMv7. docs/design.md says what each operation means.
 * f64 and the conversions of f16, which are no instructions of ARMv7, are in vec_a64.h and
 * vec_a32.h.
 */
#ifndef BITDROP_NEON_VEC_H
#define BITDROP_NEON_VEC_H

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__arm__) && !defined(__clang__) /* clang has no such target: have.h */
#define TARGET "fpu=neon"
#include "template/target_begin.h"
#endif

#include "template/bits.h"

/* Random words: four in a register */

typedef uint32x4_t vec;
enum { LANES = 4, VECS = 4, INTERLEAVED_PLANES = 1 };

#ifdef __aarch64__
enum { CHAINS = 2 };
static inline uint64x2_t mul_upper(vec a, vec b) { return vmull_high_u32(a, b); }
#else
enum { CHAINS = 1 }; /* two do not fit in 16 registers */
static inline uint64x2_t mul_upper(vec a, vec b)
{
    return vmull_u32(vget_high_u32(a), vget_high_u32(b));
}
#endif

static inline vec vec_set1(uint32_t x) { return vdupq_n_u32(x); }
static inline vec vec_load(const uint32_t *p) { return vld1q_u32(p); }
static inline void vec_store(uint32_t *p, vec a) { vst1q_u32(p, a); }
static inline vec vec_add(vec a, vec b) { return vaddq_u32(a, b); }
static inline vec vec_xor(vec a, vec b) { return veorq_u32(a, b); }
static inline vec vec_and(vec a, vec b) { return vandq_u32(a, b); }
static inline vec vec_andnot(vec a, vec b) { return vbicq_u32(a, b); }
static inline vec vec_or(vec a, vec b) { return vorrq_u32(a, b); }
static inline vec vec_or_and(vec a, vec b, vec c) { return vbslq_u32(b, c, a); }

/* a comes last, from the multiplier: in another type, or compilers reorder the xors. */
static inline vec vec_xor_key(vec a, vec b, const uint32_t *key)
{
    const uint64x2_t early = vreinterpretq_u64_u32(b);
    const uint64x2_t keys = vreinterpretq_u64_u32(vec_set1(*key));

    return vec_xor(a, vreinterpretq_u32_u64(veorq_u64(early, keys)));
}

static inline vec vec_blocks(uint32_t g)
{
    const uint32x4_t lane = {0, 1, 2, 3};

    return vaddq_u32(vec_set1(g), lane);
}

static inline void vec_mul(vec a, uint32_t m, vec *hi, vec *lo)
{
    const uint32x4_t p01 = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a), vdup_n_u32(m)));
    const uint32x4_t p23 = vreinterpretq_u32_u64(mul_upper(a, vec_set1(m)));
    const uint32x4x2_t halves = vuzpq_u32(p01, p23);

    *lo = halves.val[0];
    *hi = halves.val[1];
}

static inline void vec_mul_pack(vec a, uint32_t m, vec b, const uint32_t *key, vec packed[VECS / 2])
{
    vec hi;

    vec_mul(a, m, &hi, &packed[1]);
    packed[0] = vec_xor_key(hi, b, key);
}

static inline void vec_planes_store(uint8_t *p, const vec planes[VECS])
{
    const uint32x4x4_t words = {{planes[0], planes[1], planes[2], planes[3]}};

    vst4q_u32((uint32_t *)(void *)p, words);
}

#include "template/plain.h"

/* Keep bits of a strip: all in every 32-bit lane, and each half in all 16-bit lanes */

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
 * A vector of numbers is two registers, and of halves two of four. As y may be x, compilers load
 * none of the next vector before this one is stored, and CPUs that run in order wait for each.
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
 * Of 4 lanes, those whose bit is set in keep. The first lane's is `bit`, and that of each next lane
 * is `step` places higher.
 */
static inline uint32x4_t keep_lanes(keep_bits keep, uint32_t bit, int step)
{
    const uint32x4_t mine = {bit, bit << step, bit << 2 * step, bit << 3 * step};

    return vtstq_u32(keep.word, mine);
}

static inline f32_mask f32_keep(keep_bits keep, int v, int part)
{
    const uint32_t bit = UINT32_C(1) << (8 * v);

    (void)part;
    return (f32_mask){{keep_lanes(keep, bit, 1), keep_lanes(keep, bit << 4, 1)}};
}

/* The bits that `first` and `second` give to the lanes of m. or_lanes puts them together. */
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
 * Compared as integers, because ARMv7 compares denormals as 0: a lane is not <= 0 if it is not +0
 * and is above -infinity. Of all integers with the sign bit only those of NaNs are.
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

static inline f32_vec f32_quotient(f32_vec a, f32_vec b, f32_vec r, int turn)
{
    (void)r;
    (void)turn;
    return f32_div(a, b);
}

/* The sum of four lanes: those two apart, then the neighbours. */
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

/* f16 and bf16: two registers of eight in memory, and for each two of f32 */

typedef struct {
    f32_vec r[2];
} half_vec;
typedef struct {
    uint16x8_t r[2];
} half_packed;

static inline half_vec half_mul(half_vec a, f32_vec b)
{
    return (half_vec){{f32_mul(a.r[0], b), f32_mul(a.r[1], b)}};
}

static inline f32_vec *half_part(half_vec *a, int i) { return &a->r[i]; }

/* Register i of vector v of a strip, where kept. */
static inline uint16x8_t half_kept(uint16x8_t a, keep_bits keep, int v, int i)
{
    const uint16x8_t low = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16x8_t high = {256, 512, 1024, 2048, 4096, 8192, 16384, 32768};

    return vandq_u16(a, vtstq_u16(keep.half[v], i == 0 ? low : high));
}

static inline void half_store(void *p, half_packed a)
{
    uint8_t *bytes = p;

    vst1q_u8(bytes, vreinterpretq_u8_u16(a.r[0]));
    vst1q_u8(bytes + 16, vreinterpretq_u8_u16(a.r[1]));
}

/* f16 */

typedef half_vec f16_vec;
typedef half_packed f16_packed;
enum { f16_LANES = 16, f16_PARTS = 2 };

static inline f16_vec f16_load(const void *p)
{
    const uint8_t *bytes = p;

    return (f16_vec){{f16_widen(vreinterpretq_u16_u8(vld1q_u8(bytes))),
                      f16_widen(vreinterpretq_u16_u8(vld1q_u8(bytes + 16)))}};
}

static inline f16_vec f16_load_f32(const void *p)
{
    return (f16_vec){{f32_load(p), f32_load((const uint8_t *)p + 32)}};
}

static inline f16_vec f16_mul(f16_vec a, f32_vec b) { return half_mul(a, b); }
static inline f32_vec *f16_part(f16_vec *a, int i) { return half_part(a, i); }

static inline float f16_sum(f16_vec a) { return f32_sum(f32_add(a.r[0], a.r[1])); }

static inline f32_mask f16_keep(keep_bits keep, int v, int part)
{
    return f32_keep(keep, 2 * v + part, 0);
}

static inline uint32_t f16_mask_bits(const f32_mask m[f16_PARTS])
{
    const uint32x4_t first = {1, 2, 4, 8}, second = {16, 32, 64, 128};
    const uint32x4_t low = lane_bits(m[0], first, second), high = lane_bits(m[1], first, second);

    return or_lanes(vorrq_u32(low, vshlq_n_u32(high, 8)));
}

static inline f16_packed f16_round(f16_vec a)
{
    return (f16_packed){{f16_narrow(a.r[0]), f16_narrow(a.r[1])}};
}

static inline f16_packed f16_kept(f16_vec a, keep_bits keep, int v)
{
    f16_packed out;

    for (int i = 0; i < 2; i++)
        out.r[i] = half_kept(f16_narrow(a.r[i]), keep, v, i);
    return out;
}

static inline void f16_store(void *p, f16_packed a) { half_store(p, a); }
static inline void f16_stream(void *p, f16_packed a) { half_store(p, a); }

/*
 * bf16: the even and the odd elements of a register, each the upper half of an f32. They are
 * rounded in halves, all together.
 */

typedef half_vec bf16_vec;
typedef half_packed bf16_packed;
enum { bf16_LANES = 16, bf16_PARTS = 2 };

static inline bf16_vec bf16_load(const void *p)
{
    bf16_vec a;

    for (int i = 0; i < 2; i++) {
        const uint32x4_t u = vreinterpretq_u32_u8(vld1q_u8((const uint8_t *)p + 16 * i));
        const uint32x4_t even = vshlq_n_u32(u, 16), odd = vandq_u32(u, vec_set1(0xFFFF0000));

        a.r[i] = (f32_vec){{vreinterpretq_f32_u32(even), vreinterpretq_f32_u32(odd)}};
    }
    return a;
}

static inline bf16_vec bf16_load_f32(const void *p)
{
    bf16_vec a;

    for (int i = 0; i < 2; i++) {
        const f32_vec x = f32_load((const uint8_t *)p + 32 * i);
        const float32x4x2_t halves = vuzpq_f32(x.r[0], x.r[1]);

        a.r[i] = (f32_vec){{halves.val[0], halves.val[1]}};
    }
    return a;
}

static inline bf16_vec bf16_mul(bf16_vec a, f32_vec b) { return half_mul(a, b); }

static inline f32_vec *bf16_part(bf16_vec *a, int i) { return half_part(a, i); }

/* Elements eight apart first; then the even and the odd ones are apart until the end. */
static inline float bf16_sum(bf16_vec a)
{
    const f32_vec b = f32_add(a.r[0], a.r[1]);
    const float32x2_t even = vadd_f32(vget_low_f32(b.r[0]), vget_high_f32(b.r[0]));
    const float32x2_t odd = vadd_f32(vget_low_f32(b.r[1]), vget_high_f32(b.r[1]));
    const float32x2x2_t turned = vtrn_f32(even, odd); /* both of the lower, both of the upper */
    const float32x2_t c = vadd_f32(turned.val[0], turned.val[1]);

    return vget_lane_f32(vadd_f32(c, vrev64_f32(c)), 0);
}

static inline f32_mask bf16_keep(keep_bits keep, int v, int part)
{
    const uint32_t bit = UINT32_C(1) << (16 * v + 8 * part);

    return (f32_mask){{keep_lanes(keep, bit, 2), keep_lanes(keep, bit << 1, 2)}};
}

static inline uint32_t bf16_mask_bits(const f32_mask m[bf16_PARTS])
{
    const uint32x4_t even = {1, 4, 16, 64}, odd = {2, 8, 32, 128};
    const uint32x4_t low = lane_bits(m[0], even, odd), high = lane_bits(m[1], even, odd);

    return or_lanes(vorrq_u32(low, vshlq_n_u32(high, 8)));
}

/* The lower halves of a register of eight in val[0], the upper ones in val[1]. */
static inline uint16x8x2_t bf16_halves(f32_vec a)
{
    return vtrnq_u16(vreinterpretq_u16_f32(a.r[0]), vreinterpretq_u16_f32(a.r[1]));
}

/* Up if the lower half is above 0x8000, or is that and the upper half is odd. */
static inline uint16x8_t bf16_nearest(uint16x8_t lower, uint16x8_t upper)
{
    const uint16x8_t is_even = vbicq_u16(vdupq_n_u16(1), upper);

    return vsraq_n_u16(upper, vqsubq_u16(lower, is_even), 15);
}

/* Any f32. The lower half of a NaN is taken for 0, and its upper half is made quiet. */
static inline bf16_packed bf16_round(bf16_vec a)
{
    bf16_packed out;

    for (int i = 0; i < 2; i++) {
        const f32_vec x = a.r[i];
        const uint16x8x2_t halves = bf16_halves(x);
        const uint16x8_t even = vreinterpretq_u16_u32(vceqq_f32(x.r[0], x.r[0]));
        const uint16x8_t odd = vreinterpretq_u16_u32(vceqq_f32(x.r[1], x.r[1]));
        const uint16x8_t is_number = vtrnq_u16(even, odd).val[1];
        const uint16x8_t quiet = vbicq_u16(vdupq_n_u16(0x40), is_number);

        out.r[i] =
            bf16_nearest(vandq_u16(halves.val[0], is_number), vorrq_u16(halves.val[1], quiet));
    }
    return out;
}

/* Products. If one is a NaN its lower half is 0, so it is not rounded up. */
static inline bf16_packed bf16_kept(bf16_vec a, keep_bits keep, int v)
{
    bf16_packed out;

    for (int i = 0; i < 2; i++) {
        const uint16x8x2_t halves = bf16_halves(a.r[i]);

        out.r[i] = half_kept(bf16_nearest(halves.val[0], halves.val[1]), keep, v, i);
    }
    return out;
}

static inline void bf16_store(void *p, bf16_packed a) { half_store(p, a); }
static inline void bf16_stream(void *p, bf16_packed a) { half_store(p, a); }

PLAIN_FEW(f32, 4)
PLAIN_FEW(f64, 8)
PLAIN_FEW(f16, 2)
PLAIN_FEW(bf16, 2)

static inline void stream_fence(void) {}

#endif
