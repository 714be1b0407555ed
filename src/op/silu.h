/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SiLU (Elfwing, Uchibe, Doya, 2017): x / (1 + exp(-x)). silu: in = {x, bias}.
 * silu_grad: in = {dy, x, bias}.
 */
#ifndef BITDROP_PARAMETERS

FORCE_INLINE C(vec) T(silu_exponent)(C(vec) s) { return C(sub)(C(set1)(0), s); }

FORCE_INLINE C(vec) T(silu)(C(vec) x, C(vec) e, C(mask) kept)
{
    (void)kept;
    return C(div)(x, C(add)(C(set1)(1), e));
}

FORCE_INLINE C(vec) T(silu_slope)(C(vec) s, C(vec) e, C(mask) kept)
{
    (void)kept;
    return T(logistic_slope)(e, s);
}

ACTIVATION(silu, C(SILU_END))

#endif
