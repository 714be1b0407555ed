/* SPDX-License-Identifier: Apache-2.0 */
/* SiLU (Elfwing, Uchibe, Doya, 2017): x / (1 + exp(-x)); in = {x, bias}, and {dy, x, bias}. */
#ifndef BITDROP_PARAMETERS

FORCE_INLINE C(vec) T(silu)(C(vec) x, C(vec) s, C(mask) kept)
{
    (void)kept;
    return C(div)(x, C(add)(C(set1)(1), C(exp)(C(sub)(C(set1)(0), s))));
}

FORCE_INLINE C(vec) T(silu_slope)(C(vec) x, C(vec) s, C(mask) kept)
{
    (void)x;
    (void)kept;
    return T(logistic_slope)(C(exp)(C(sub)(C(set1)(0), s)), s);
}

FORCE_INLINE T(packed)
    T(op_silu)(T(vec) * in, keep_bits keep, int v, const C(vec) * p, uint32_t *marks)
{
    (void)marks;
    return T(activate)(T(silu), C(SILU_END), in, keep, v, p);
}

FORCE_INLINE T(packed)
    T(op_silu_grad)(T(vec) * in, keep_bits keep, int v, const C(vec) * p, uint32_t *marks)
{
    (void)marks;
    return T(activate_grad)(T(silu_slope), C(SILU_END), in, keep, v, p);
}

#endif
