/* SPDX-License-Identifier: Apache-2.0 */
/* Random words. A part of vec.h. */
#ifndef BITDROP_NEON_VEC_RANDOM_H
#define BITDROP_NEON_VEC_RANDOM_H

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

/* a comes last, from the multiplier. Other types keep compilers from reordering the xors. */
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

static inline vec vec_blocks_load(const uint32_t *g) { return vec_load(g); }

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

#endif
