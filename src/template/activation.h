/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the activations in src/op that differ between f32 and f64: the bounds of x, and the
 * tail of the normal distribution.
 *
 * Include the vec.h of an ISA first.
 */
#ifndef BITDROP_TEMPLATE_ACTIVATION_H
#define BITDROP_TEMPLATE_ACTIVATION_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include <stddef.h>

/*
 * At x >= END an activation is x, and at x <= -END it is 0, to the last bit or within 1e-30. The
 * formulas compute with x clamped to [-END, END], so that exp does not overflow and no infinity is
 * multiplied by 0. SLEEF's expf would also raise FE_INVALID below -176.
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
 * Phi(-a), the probability that a standard normal number is below -a, for 0 <= a <= GELU_END. e is
 * exp(-a * a / 2).
 *
 * Computes e * Q(u), where u = a / (1 + 5/16 * a) and Q is a polynomial, because an exp is much
 * faster than an erfc. Q(0) is exactly 1/2. So the rounding error is small near 0, where the error
 * of Phi matters most.
 *
 * The other coefficients are fitted to exp(a * a / 2) * Phi(-a), computed with 30 digits, at 1500
 * Chebyshev nodes of a in [0, 7.5]. The fit is weighted least squares, at first with the weight
 * exp(-a * a / 2). It was repeated 300 times. Each time the weight of a node was multiplied by the
 * node's last error (Lawson's algorithm), which minimises the largest error. That error is 3.3e-10
 * in Phi, without rounding. 5/16 was the best of several multiples of 1/64.
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

/*
 * Adds 0x1p-70, because SLEEF's erfc divides by 0 at 0. Rounding removes this from a larger x, and
 * from the erfc of a smaller x, which is close to 1.
 */
static inline f64_vec f64_normal_tail(f64_vec a, f64_vec e)
{
    const f64_vec x = f64_add(f64_mul(a, f64_set1(0.7071067811865476)), f64_set1(0x1p-70));

    (void)e;
    return f64_mul(f64_erfc(x), f64_set1(0.5));
}

#endif
