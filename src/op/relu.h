/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ReLU, then dropout: D(max(0, x + bias)). in = {x, bias}. An element is marked if it is kept and
 * x + bias is above 0, or a NaN.
 */
#ifndef BITDROP_PARAMETERS

FORCE_INLINE T(packed)
    T(op_relu)(T(vec) * in, keep_bits keep, int v, const C(vec) * p, uint32_t *marks)
{
    C(mask) active[T(PARTS)];
    T(vec) y;

    for (int i = 0; i < T(PARTS); i++) {
        const C(vec) sum = C(add)(*T(part)(&in[0], i), *T(part)(&in[1], i));

        active[i] = C(positive)(T(keep)(keep, v, i), sum);
        *T(part)(&y, i) = C(only)(active[i], C(mul)(sum, p[0]));
    }
    *marks = T(mask_bits)(active);
    return T(round)(y);
}

#endif
