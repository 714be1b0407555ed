/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The derivative of relu.h: D'(dy) where x + bias is above 0 or a NaN, +0 elsewhere.
 * in = {dy, x, bias}.
 */
#ifndef BITDROP_PARAMETERS

FORCE_INLINE T(packed)
    T(op_relu_grad)(T(vec) * in, keep_bits keep, int v, const C(vec) * p, uint32_t *marks)
{
    T(vec) dx;

    (void)marks;
    for (int i = 0; i < T(PARTS); i++) {
        const C(vec) sum = C(add)(*T(part)(&in[1], i), *T(part)(&in[2], i));
        const C(mask) active = C(positive)(T(keep)(keep, v, i), sum);

        *T(part)(&dx, i) = C(only)(active, C(mul)(*T(part)(&in[0], i), p[0]));
    }
    return T(round)(dx);
}

#endif
