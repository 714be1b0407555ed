/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the vocabulary that template/product.h needs. To be included after vec.h. */
#ifndef BITDROP_SCALAR_VEC_PRODUCT_H
#define BITDROP_SCALAR_VEC_PRODUCT_H

enum { PRODUCT_ROWS = 2, PRODUCT_VECTORS = 4 };

static inline f32_vec f32_broadcast(const void *p) { return f32_load(p); }
static inline f32_vec f32_mul_add(f32_vec a, f32_vec b, f32_vec c) { return a * b + c; }

static inline void f32_zip(f32_vec a, f32_vec b, f32_vec *low, f32_vec *high)
{
    *low = a;
    *high = b;
}

static inline f64_vec f64_broadcast(const void *p) { return f64_load(p); }
static inline f64_vec f64_mul_add(f64_vec a, f64_vec b, f64_vec c) { return a * b + c; }

static inline void f64_zip(f64_vec a, f64_vec b, f64_vec *low, f64_vec *high)
{
    *low = a;
    *high = b;
}

static inline void f16_store_f32(void *p, f16_vec a) { f32_store(p, a); }
static inline void bf16_store_f32(void *p, bf16_vec a) { f32_store(p, a); }

#endif
