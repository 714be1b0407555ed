/* SPDX-License-Identifier: Apache-2.0 */
/* f16 and bf16. A part of vec.h. */
#ifndef BITDROP_NEON_VEC_HALVES_H
#define BITDROP_NEON_VEC_HALVES_H

/* f16 and bf16: two registers of eight elements as stored, and two of f32 for each as computed */

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

/* a where kept, else 0. a is register i of vector v of a strip. */
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
 * bf16: the even and the odd elements of a register, each in the upper half of an f32. Both are
 * rounded together, in 16-bit lanes.
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

/*
 * Adds elements 8 apart, then 4, 2 and 1 apart. Even and odd elements are in different registers
 * before the third step.
 */
static inline float bf16_sum(bf16_vec a)
{
    const f32_vec b = f32_add(a.r[0], a.r[1]);
    const float32x2_t even = vadd_f32(vget_low_f32(b.r[0]), vget_high_f32(b.r[0]));
    const float32x2_t odd = vadd_f32(vget_low_f32(b.r[1]), vget_high_f32(b.r[1]));
    const float32x2x2_t transposed = vtrn_f32(even, odd); /* elements 0 and 1, elements 2 and 3 */
    const float32x2_t c = vadd_f32(transposed.val[0], transposed.val[1]);

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

/* The lower halves of eight f32 in val[0], the upper halves in val[1]. */
static inline uint16x8x2_t bf16_halves(f32_vec a)
{
    return vtrnq_u16(vreinterpretq_u16_f32(a.r[0]), vreinterpretq_u16_f32(a.r[1]));
}

/* Rounds up if the lower half is above 0x8000, or if it is 0x8000 and the upper half is odd. */
static inline uint16x8_t bf16_nearest(uint16x8_t lower, uint16x8_t upper)
{
    const uint16x8_t is_even = vbicq_u16(vdupq_n_u16(1), upper);

    return vsraq_n_u16(upper, vqsubq_u16(lower, is_even), 15);
}

/* Any f32. Of a NaN, the lower half counts as 0, and the upper half becomes quiet. */
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

/* Products. If one is a NaN, its lower half is 0, so it is not rounded up. */
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

PLAIN_PARTIAL(f32, 4)
PLAIN_PARTIAL(f64, 8)
PLAIN_PARTIAL(f16, 2)
PLAIN_PARTIAL(bf16, 2)

#endif
