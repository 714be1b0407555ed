/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Part of a vec.h: the names of f16 that mean the same as those of f32. For ISAs whose f16_vec has
 * as many elements as their f32_vec. f16_load converts to f32, and f16_round converts back.
 *
 * The vec.h has defined the names of f32, and f16_packed and f16_round.
 */
#ifndef BITDROP_TEMPLATE_F16_AS_F32_H
#define BITDROP_TEMPLATE_F16_AS_F32_H

#ifndef BITDROP_VEC_H
#error "only a vec.h includes this file"
#endif

typedef f32_vec f16_vec;
enum { f16_LANES = f32_LANES, f16_PARTS = f32_PARTS };

static inline f16_vec f16_load_f32(const void *p) { return f32_load(p); }
static inline f16_vec f16_mul(f16_vec a, f32_vec b) { return f32_mul(a, b); }
static inline f32_vec *f16_part(f16_vec *a, int i) { return a + i; }
static inline float f16_sum(f16_vec a) { return f32_sum(a); }
static inline f32_mask f16_keep(keep_bits keep, int v, int part) { return f32_keep(keep, v, part); }
static inline uint32_t f16_mask_bits(const f32_mask m[f16_PARTS]) { return f32_mask_bits(m); }

static inline f16_packed f16_kept(f16_vec a, keep_bits keep, int v)
{
    return f16_round(f32_kept(a, keep, v));
}

#endif
