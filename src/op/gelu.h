/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GELU (Hendrycks, Gimpel, 2016): x * Phi(x), where Phi is the cumulative distribution function of
 * the standard normal distribution. gelu: in = {x, bias}. gelu_grad: in = {dy, x, bias}.
 */
#ifndef BITDROP_PARAMETERS

FORCE_INLINE C(vec) T(gelu_exponent)(C(vec) s) { return C(mul)(C(mul)(s, s), C(set1)(-0.5)); }

/* Phi(s). e is exp(-s * s / 2). */
FORCE_INLINE C(vec) T(normal)(C(vec) s, C(vec) e, C(mask) kept)
{
    const C(vec) tail = C(normal_tail)(C(abs)(s), e);

    return C(select)(C(above)(kept, s, C(set1)(0)), C(sub)(C(set1)(1), tail), tail);
}

FORCE_INLINE C(vec) T(gelu)(C(vec) x, C(vec) e, C(mask) kept)
{
    return C(mul)(x, T(normal)(T(within)(x, C(GELU_END)), e, kept));
}

FORCE_INLINE C(vec) T(gelu_slope)(C(vec) s, C(vec) e, C(mask) kept)
{
    const C(vec) density = C(mul)(e, C(set1)(0.3989422804014327)); /* 1 / sqrt(2 pi) */

    return C(add)(T(normal)(s, e, kept), C(mul)(s, density));
}

ACTIVATION(gelu, C(GELU_END))

#endif
