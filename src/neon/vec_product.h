/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the vocabulary that template/product.h needs. To be included after vec.h. */
#ifndef BITDROP_NEON_VEC_PRODUCT_H
#define BITDROP_NEON_VEC_PRODUCT_H

#ifdef __aarch64__
enum { PRODUCT_ROWS = 8, PRODUCT_VECTORS = 1 }; /* 16 registers of sums */
#else
enum { PRODUCT_ROWS = 4, PRODUCT_VECTORS = 1 };
#endif

static inline f32_vec f32_broadcast(const void *p)
{
    float x;

    memcpy(&x, p, sizeof x);
    return f32_set1(x);
}

static inline f64_vec f64_broadcast(const void *p)
{
    double x;

    memcpy(&x, p, sizeof x);
    return f64_set1(x);
}

static inline void f32_zip(f32_vec a, f32_vec b, f32_vec *low, f32_vec *high)
{
    const float32x4x2_t first = vzipq_f32(a.r[0], b.r[0]), second = vzipq_f32(a.r[1], b.r[1]);

    *low = (f32_vec){{first.val[0], first.val[1]}};
    *high = (f32_vec){{second.val[0], second.val[1]}};
}

#ifdef __aarch64__
static inline f32_vec f32_mul_add(f32_vec a, f32_vec b, f32_vec c)
{
    return (f32_vec){{vfmaq_f32(c.r[0], a.r[0], b.r[0]), vfmaq_f32(c.r[1], a.r[1], b.r[1])}};
}

static inline f64_vec f64_mul_add(f64_vec a, f64_vec b, f64_vec c)
{
    return (f64_vec){{vfmaq_f64(c.r[0], a.r[0], b.r[0]), vfmaq_f64(c.r[1], a.r[1], b.r[1])}};
}

static inline void f64_zip(f64_vec a, f64_vec b, f64_vec *low, f64_vec *high)
{
    *low = (f64_vec){{vzip1q_f64(a.r[0], b.r[0]), vzip2q_f64(a.r[0], b.r[0])}};
    *high = (f64_vec){{vzip1q_f64(a.r[1], b.r[1]), vzip2q_f64(a.r[1], b.r[1])}};
}
#else
static inline f32_vec f32_mul_add(f32_vec a, f32_vec b, f32_vec c)
{
    return f32_add(f32_mul(a, b), c);
}

static inline f64_vec f64_mul_add(f64_vec a, f64_vec b, f64_vec c)
{
    return f64_add(f64_mul(a, b), c);
}

static inline void f64_zip(f64_vec a, f64_vec b, f64_vec *low, f64_vec *high)
{
    *low = (f64_vec){{a.e[0], b.e[0], a.e[1], b.e[1]}};
    *high = (f64_vec){{a.e[2], b.e[2], a.e[3], b.e[3]}};
}
#endif

static inline void f16_store_f32(void *p, f16_vec a)
{
    f32_store(p, a.r[0]);
    f32_store((uint8_t *)p + 32, a.r[1]);
}

static inline void bf16_store_f32(void *p, bf16_vec a)
{
    for (int i = 0; i < 2; i++) {
        const float32x4x2_t numbers = vzipq_f32(a.r[i].r[0], a.r[i].r[1]);

        f32_store((uint8_t *)p + 32 * i, (f32_vec){{numbers.val[0], numbers.val[1]}});
    }
}

#endif
