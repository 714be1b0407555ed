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

#include "template/words_open.h"

/* Random words: four in a register */

typedef uint32x4_t vec;
enum { LANES = 4, VECS = 4 };

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
enum { f32_LANES = 8 };

static inline f32_vec f32_set1(double x)
{
    const float32x4_t r = vdupq_n_f32((float)x);

    return (f32_vec){{r, r}};
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

static inline f32_vec f32_kept(f32_vec a, keep_bits keep, int v)
{
    for (int i = 0; i < 2; i++) {
        const uint32_t bit = UINT32_C(1) << (8 * v + 4 * i);
        const uint32x4_t mine = {bit, bit << 1, bit << 2, bit << 3};
        const uint32x4_t kept = vtstq_u32(keep.word, mine);

        a.r[i] = vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a.r[i]), kept));
    }
    return a;
}

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
enum { f16_LANES = 16 };

static inline f16_vec f16_load(const void *p)
{
    const uint8_t *bytes = p;

    return (f16_vec){{f16_widen(vreinterpretq_u16_u8(vld1q_u8(bytes))),
                      f16_widen(vreinterpretq_u16_u8(vld1q_u8(bytes + 16)))}};
}

static inline f16_vec f16_mul(f16_vec a, f32_vec b) { return half_mul(a, b); }

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
 * bf16: the even and the odd elements of a register, each the upper half of an f32. Their products
 * are rounded in words, all together: up if the lower half is above 0x8000, or is that and the
 * upper half is odd. If a product is a NaN its lower half is 0, so it is not rounded up.
 */

typedef half_vec bf16_vec;
typedef half_packed bf16_packed;
enum { bf16_LANES = 16 };

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

static inline bf16_vec bf16_mul(bf16_vec a, f32_vec b) { return half_mul(a, b); }

static inline bf16_packed bf16_kept(bf16_vec a, keep_bits keep, int v)
{
    bf16_packed out;

    for (int i = 0; i < 2; i++) {
        const uint16x8_t even = vreinterpretq_u16_f32(a.r[i].r[0]);
        const uint16x8_t odd = vreinterpretq_u16_f32(a.r[i].r[1]);
        const uint16x8x2_t halves = vtrnq_u16(even, odd);
        const uint16x8_t lower = halves.val[0], upper = halves.val[1];
        const uint16x8_t is_even = vbicq_u16(vdupq_n_u16(1), upper);

        out.r[i] = half_kept(vsraq_n_u16(upper, vqsubq_u16(lower, is_even), 15), keep, v, i);
    }
    return out;
}

static inline void bf16_store(void *p, bf16_packed a) { half_store(p, a); }
static inline void bf16_stream(void *p, bf16_packed a) { half_store(p, a); }

static inline void stream_fence(void) {}

#endif
