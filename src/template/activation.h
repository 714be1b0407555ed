/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What activations need that goes by the type to compute in: where they end, and the normal
 * distribution. src/op has the rest.
 *
 * The includer has included its vec.h.
 */
#ifndef BITDROP_TEMPLATE_ACTIVATION_H
#define BITDROP_TEMPLATE_ACTIVATION_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include <stddef.h>

/*
 * So far from 0 activations are x or 0, to the last bit or to less than 1e-30. What they are made
 * of is computed of an x within these bounds: it neither overflows nor becomes infinity times 0.
 * SLEEF's expf also raises invalid below -176.
 */
enum {
    f32_SILU_END = 87,
    f64_SILU_END = 700,
    f32_GELU_TANH_END = 10,
    f64_GELU_TANH_END = 21,
    f32_GELU_END = 12,
    f64_GELU_END = 37
};

/*
 * Phi(-a), the part of the standard normal distribution below -a, for 0 <= a <= GELU_END. e is
 * exp(-a * a / 2).
 *
 * Phi(-a) = e * Q(u), u = a / (1 + 5/16 * a), because an exp is much faster than an erfc. Q(0) is
 * 1/2, so that little is rounded near 0, where the error of Phi counts most.
 *
 * The other coefficients are a fit to exp(a * a / 2) * Phi(-a), computed with 30 digits, at 1500
 * Chebyshev nodes of [0, 7.5]. It is least squares with the weight exp(-a * a / 2), 300 times over,
 * where each node's weight is multiplied by its last error (Lawson's algorithm), which makes the
 * largest error least. That is 3.3e-10 in Phi, before anything is rounded. 5/16 is the best of some
 * multiples of 1/64.
 */
static inline f32_vec f32_normal_tail(f32_vec a, f32_vec e)
{
    const f32_vec u = f32_div(a, f32_add(f32_set1(1), f32_mul(a, f32_set1(0.3125))));
    const f32_vec square = f32_mul(u, u);
    const f32_vec q01 = f32_add(f32_set1(0.5), f32_mul(u, f32_set1(-0.398942302)));
    const f32_vec q23 = f32_add(f32_set1(0.12533099), f32_mul(u, f32_set1(-0.0156931606)));
    const f32_vec q45 = f32_add(f32_set1(-0.00109137745), f32_mul(u, f32_set1(0.00030441057)));
    const f32_vec q67 = f32_add(f32_set1(6.34974342e-05), f32_mul(u, f32_set1(-1.42592693e-05)));
    const f32_vec q47 = f32_mul(f32_mul(square, square), f32_add(q45, f32_mul(square, q67)));
    const f32_vec q = f32_add(f32_add(q01, f32_mul(square, q23)), q47);

    return f32_mul(e, q);
}

/* erfc(0) of SLEEF divides by 0. What is added is lost in rounding wherever it would matter. */
static inline f64_vec f64_normal_tail(f64_vec a, f64_vec e)
{
    const f64_vec x = f64_add(f64_mul(a, f64_set1(0.7071067811865476)), f64_set1(0x1p-70));

    (void)e;
    return f64_mul(f64_erfc(x), f64_set1(0.5));
}

#endif
