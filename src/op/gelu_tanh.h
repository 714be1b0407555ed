/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GELU by tanh (Hendrycks, Gimpel, 2016): x / 2 * (1 + tanh(u)) = x / (1 + exp(-2 u)), where u is
 * sqrt(2 / pi) * (x + 0.044715 * x^3). in = {x, bias}, and {dy, x, bias}.
 */
#ifndef BITDROP_PARAMETERS

/* 2 u is x * (c1 + c3 * x * x). */
#define GELU_TANH_C1 (2 * 0.7978845608028654) /* sqrt(2 / pi) */
#define GELU_TANH_C3 (GELU_TANH_C1 * 0.044715)

FORCE_INLINE C(vec) T(gelu_tanh)(C(vec) x, C(vec) s, C(mask) kept)
{
    const C(vec) c1 = C(set1)(-GELU_TANH_C1), c3 = C(set1)(-GELU_TANH_C3);
    const C(vec) z = C(mul)(s, C(add)(c1, C(mul)(c3, C(mul)(s, s))));

    (void)kept;
    return C(div)(x, C(add)(C(set1)(1), C(exp)(z)));
}

FORCE_INLINE C(vec) T(gelu_tanh_slope)(C(vec) x, C(vec) s, C(mask) kept)
{
    const C(vec) c1 = C(set1)(-GELU_TANH_C1), c3 = C(set1)(-GELU_TANH_C3);
    const C(vec) square = C(mul)(s, s);
    const C(vec) z = C(mul)(s, C(add)(c1, C(mul)(c3, square)));
    const C(vec) slope = C(add)(C(set1)(GELU_TANH_C1), C(mul)(C(set1)(3 * GELU_TANH_C3), square));

    (void)x;
    (void)kept;
    return T(logistic_slope)(C(exp)(z), C(mul)(s, slope));
}

#undef GELU_TANH_C1
#undef GELU_TANH_C3

FORCE_INLINE T(packed)
    T(op_gelu_tanh)(T(vec) * in, keep_bits keep, int v, const C(vec) * p, uint32_t *marks)
{
    (void)marks;
    return T(activate)(T(gelu_tanh), C(GELU_TANH_END), in, keep, v, p);
}

FORCE_INLINE T(packed)
    T(op_gelu_tanh_grad)(T(vec) * in, keep_bits keep, int v, const C(vec) * p, uint32_t *marks)
{
    (void)marks;
    return T(activate_grad)(T(gelu_tanh_slope), C(GELU_TANH_END), in, keep, v, p);
}

#endif
