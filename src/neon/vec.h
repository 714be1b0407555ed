/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary in AArch64 NEON. docs/design.md says what each operation means. */
#ifndef BITDROP_NEON_VEC_H
#define BITDROP_NEON_VEC_H

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "template/words_open.h"

/* Random words: four in a register */

typedef uint32x4_t vec;
enum { LANES = 4, CHAINS = 2, VECS = 4 };

static inline vec vec_set1(uint32_t x) { return vdupq_n_u32(x); }
static inline vec vec_load(const uint32_t *p) { return vld1q_u32(p); }
static inline void vec_store(uint32_t *p, vec a) { vst1q_u32(p, a); }
static inline vec vec_add(vec a, vec b) { return vaddq_u32(a, b); }
static inline vec vec_xor(vec a, vec b) { return veorq_u32(a, b); }
static inline vec vec_and(vec a, vec b) { return vandq_u32(a, b); }
static inline vec vec_andnot(vec a, vec b) { return vbicq_u32(a, b); }
static inline vec vec_or(vec a, vec b) { return vorrq_u32(a, b); }
static inline vec vec_or_and(vec a, vec b, vec c) { return vec_or(a, vec_and(b, c)); }

/* a comes last, from the multiplier: in another type, or compilers reorder the xors. */
static inline vec vec_xor_key(vec a, vec b, const uint32_t *key)
{
    const uint64x2_t early = vreinterpretq_u64_u32(b);
    const uint64x2_t keys = vreinterpretq_u64_u32(vld1q_dup_u32(key));

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
    const uint32x4_t p23 = vreinterpretq_u32_u64(vmull_high_u32(a, vec_set1(m)));

    *hi = vuzp2q_u32(p01, p23);
    *lo = vuzp1q_u32(p01, p23);
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

/* Keep bits of a strip */

typedef uint32_t keep_bits;

static inline keep_bits keep_bits_load(const uint8_t *p) { return load_le32(p); }

/* f32 */

typedef float f32_scalar;
typedef float32x4_t f32_vec;
typedef f32_vec f32_packed;
enum { f32_LANES = 4 };

static inline f32_vec f32_set1(double x) { return vdupq_n_f32((float)x); }
static inline f32_vec f32_mul(f32_vec a, f32_vec b) { return vmulq_f32(a, b); }
static inline f32_vec f32_load(const void *p) { return vreinterpretq_f32_u8(vld1q_u8(p)); }
static inline void f32_store(void *p, f32_vec a) { vst1q_u8(p, vreinterpretq_u8_f32(a)); }
static inline void f32_stream(void *p, f32_vec a) { f32_store(p, a); }

static inline f32_vec f32_kept(f32_vec a, keep_bits keep, int v)
{
    const uint32x4_t bit = {1, 2, 4, 8};
    const uint32x4_t kept = vtstq_u32(vdupq_n_u32(keep >> (4 * v)), bit);

    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), kept));
}

/* f64 */

typedef double f64_scalar;
typedef float64x2_t f64_vec;
typedef f64_vec f64_packed;
enum { f64_LANES = 2 };

static inline f64_vec f64_set1(double x) { return vdupq_n_f64(x); }
static inline f64_vec f64_mul(f64_vec a, f64_vec b) { return vmulq_f64(a, b); }
static inline f64_vec f64_load(const void *p) { return vreinterpretq_f64_u8(vld1q_u8(p)); }
static inline void f64_store(void *p, f64_vec a) { vst1q_u8(p, vreinterpretq_u8_f64(a)); }
static inline void f64_stream(void *p, f64_vec a) { f64_store(p, a); }

static inline f64_vec f64_kept(f64_vec a, keep_bits keep, int v)
{
    const uint64x2_t bit = {1, 2};
    const uint64x2_t kept = vtstq_u64(vdupq_n_u64(keep >> (2 * v)), bit);

    return vreinterpretq_f64_u64(vandq_u64(vreinterpretq_u64_f64(a), kept));
}

/* f16 */

typedef f32_vec f16_vec;
typedef uint8x8_t f16_packed;
enum { f16_LANES = f32_LANES };

static inline f16_vec f16_load(const void *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

static inline f16_vec f16_mul(f16_vec a, f32_vec b) { return f32_mul(a, b); }

static inline f16_packed f16_kept(f16_vec a, keep_bits keep, int v)
{
    return vreinterpret_u8_f16(vcvt_f16_f32(f32_kept(a, keep, v)));
}

static inline void f16_store(void *p, f16_packed a) { vst1_u8(p, a); }
static inline void f16_stream(void *p, f16_packed a) { f16_store(p, a); }

/* bf16: the product is rounded in integers. If it is a NaN its lower half is 0 and no carry comes.
 */

typedef f32_vec bf16_vec;
typedef uint8x8_t bf16_packed;
enum { bf16_LANES = f32_LANES };

static inline bf16_vec bf16_load(const void *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
}

static inline bf16_vec bf16_mul(bf16_vec a, f32_vec b) { return f32_mul(a, b); }

static inline bf16_packed bf16_kept(bf16_vec a, keep_bits keep, int v)
{
    const uint32x4_t u = vreinterpretq_u32_f32(f32_kept(a, keep, v));
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7FFF)), odd);

    return vreinterpret_u8_u16(vshrn_n_u32(rounded, 16));
}

static inline void bf16_store(void *p, bf16_packed a) { vst1_u8(p, a); }
static inline void bf16_stream(void *p, bf16_packed a) { bf16_store(p, a); }

static inline void stream_fence(void) {}

#endif
