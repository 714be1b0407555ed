/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GELU approximated by tanh (Hendrycks, Gimpel, 2016): x / 2 * (1 + tanh(u)) = x / (1 + exp(-2 u)),
 * where u is sqrt(2 / pi) * (x + 0.044715 * x^3). gelu_tanh: in = {x, bias}.
 * gelu_tanh_grad: in = {dy, x, bias}.
 */
#ifndef BITDROP_PARAMETERS

/* 2 u is x * (C1 + C3 * x * x). */
#define GELU_TANH_C1 (2 * 0.7978845608028654) /* sqrt(2 / pi) */
#define GELU_TANH_C3 (GELU_TANH_C1 * 0.044715)

FORCE_INLINE C(vec) T(gelu_tanh_exponent)(C(vec) s)
{
    const C(vec) c1 = C(set1)(-GELU_TANH_C1), c3 = C(set1)(-GELU_TANH_C3);

    return C(mul)(s, C(add)(c1, C(mul)(c3, C(mul)(s, s))));
}

FORCE_INLINE C(vec) T(gelu_tanh)(C(vec) x, C(vec) e, C(mask) kept)
{
    (void)kept;
    return C(div)(x, C(add)(C(set1)(1), e));
}

FORCE_INLINE C(vec) T(gelu_tanh_slope)(C(vec) s, C(vec) e, C(mask) kept)
{
    const C(vec) c1 = C(set1)(GELU_TANH_C1), c3 = C(set1)(3 * GELU_TANH_C3);
    const C(vec) slope = C(add)(c1, C(mul)(c3, C(mul)(s, s)));

    (void)kept;
    return T(logistic_slope)(e, C(mul)(s, slope));
}

#undef GELU_TANH_C1
#undef GELU_TANH_C3

ACTIVATION(gelu_tanh, C(GELU_TANH_END))

#endif
