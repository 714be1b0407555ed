/* SPDX-License-Identifier: Apache-2.0 */
/* Dropout of a sum, then a residual: residual + D(x + bias). in = {x, bias, residual}. */
#ifndef BITDROP_PARAMETERS

FORCE_INLINE T(packed)
    T(op_add)(T(vec) * in, keep_bits keep, int v, const C(vec) * p, uint32_t *marks)
{
    T(vec) y;

    (void)marks;
    for (int i = 0; i < T(PARTS); i++) {
        const C(vec) sum = C(add)(*T(part)(&in[0], i), *T(part)(&in[1], i));
        const C(vec) d = C(only)(T(keep)(keep, v, i), C(mul)(sum, p[0]));

        *T(part)(&y, i) = C(add)(*T(part)(&in[2], i), d);
    }
    return T(round)(y);
}

#endif
