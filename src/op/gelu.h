/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GELU (Hendrycks, Gimpel, 2016): x * Phi(x), where Phi is the standard normal distribution. in =
 * {x, bias}, and {dy, x, bias}.
 */
#ifndef BITDROP_PARAMETERS

/* Phi(s), and its density unless that pointer is NULL. */
FORCE_INLINE C(vec) T(normal)(C(vec) s, C(mask) kept, C(vec) * density)
{
    const C(vec) tail = C(normal_tail)(C(abs)(s), density);

    return C(select)(C(above)(kept, s, C(set1)(0)), C(sub)(C(set1)(1), tail), tail);
}

FORCE_INLINE C(vec) T(gelu)(C(vec) x, C(vec) s, C(mask) kept)
{
    return C(mul)(x, T(normal)(s, kept, NULL));
}

FORCE_INLINE C(vec) T(gelu_slope)(C(vec) x, C(vec) s, C(mask) kept)
{
    C(vec) density;
    const C(vec) phi = T(normal)(s, kept, &density);

    (void)x;
    return C(add)(phi, C(mul)(s, density));
}

FORCE_INLINE T(packed)
    T(op_gelu)(T(vec) * in, keep_bits keep, int v, const C(vec) * p, uint32_t *marks)
{
    (void)marks;
    return T(activate)(T(gelu), C(GELU_END), in, keep, v, p);
}

FORCE_INLINE T(packed)
    T(op_gelu_grad)(T(vec) * in, keep_bits keep, int v, const C(vec) * p, uint32_t *marks)
{
    (void)marks;
    return T(activate_grad)(T(gelu_slope), C(GELU_END), in, keep, v, p);
}

#endif
