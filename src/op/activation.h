/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gelu.h, gelu_tanh.h and silu.h share; no body. Each has an activation and its derivative, as
 * functions of x and of s, which is x within +-end. Below -end both are 0.
 */
#ifndef BITDROP_PARAMETERS

#include "template/activation.h"

/* In lanes that are not kept, and where x is below -end, anything may come out. */
typedef C(vec) T(activation)(C(vec) x, C(vec) s, C(mask) kept);

/* D(act(x + bias)); in = {x, bias}. */
FORCE_INLINE T(packed) T(activate)(T(activation) * act, double end, T(vec) * in, keep_bits keep,
                                   int v, const C(vec) * p)
{
    T(vec) y;

    for (int i = 0; i < T(PARTS); i++) {
        const C(mask) kept = T(keep)(keep, v, i);
        const C(vec) x = C(add)(*T(part)(&in[0], i), *T(part)(&in[1], i));
        const C(vec) s = C(clamp)(x, C(set1)(-end), C(set1)(end));
        const C(vec) value = C(mul)(act(x, s, kept), p[0]);

        *T(part)(&y, i) = C(select)(C(above)(kept, x, C(set1)(-end)), value, C(set1)(0));
    }
    return T(round)(y);
}

/*
 * D'(dy) * slope(x + bias); in = {dy, x, bias}. Both factors are selected, so that what is dropped
 * is +0 * +0: infinity * 0, which may be trapped, is not computed for it.
 */
FORCE_INLINE T(packed) T(activate_grad)(T(activation) * slope, double end, T(vec) * in,
                                        keep_bits keep, int v, const C(vec) * p)
{
    T(vec) dx;

    for (int i = 0; i < T(PARTS); i++) {
        const C(mask) kept = T(keep)(keep, v, i);
        const C(vec) x = C(add)(*T(part)(&in[1], i), *T(part)(&in[2], i));
        const C(vec) s = C(clamp)(x, C(set1)(-end), C(set1)(end));
        const C(vec) zero = C(set1)(0);
        const C(vec) g = C(select)(kept, C(mul)(*T(part)(&in[0], i), p[0]), zero);
        const C(vec) d = C(select)(C(above)(kept, x, C(set1)(-end)), slope(x, s, kept), zero);

        *T(part)(&dx, i) = C(mul)(g, d);
    }
    return T(round)(dx);
}

/*
 * The derivative of x * L, where L is 1 / (1 + exp(-z)): L + x * z' * L * (1 - L). 1 - L is
 * exp(-z) * L. x_dz is x * z'.
 */
FORCE_INLINE C(vec) T(logistic_slope)(C(vec) exp_z, C(vec) x_dz)
{
    const C(vec) one = C(set1)(1);
    const C(vec) l = C(div)(one, C(add)(one, exp_z));

    return C(mul)(l, C(add)(one, C(mul)(x_dz, C(mul)(exp_z, l))));
}

#endif
