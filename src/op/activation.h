/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gelu.h, gelu_tanh.h and silu.h share; no body. Each has an activation and its derivative, as
 * functions of x or of s, which is x within +-end, and of e, which is exp(z(s)). Below -end both
 * are 0.
 */
#ifndef BITDROP_PARAMETERS

#include "template/activation.h"

/* z(s). */
typedef C(vec) T(exponent)(C(vec) s);

/* Of x, or of s. In lanes that are not kept, and below -end, anything may come out. */
typedef C(vec) T(activation)(C(vec) x, C(vec) e, C(mask) kept);

FORCE_INLINE C(vec) T(within)(C(vec) x, double end)
{
    return C(clamp)(x, C(set1)(-end), C(set1)(end));
}

/* From in = {x, bias} to {.., .., x + bias, z}. */
FORCE_INLINE void T(activate_first)(T(exponent) * z, double end, T(vec) * in)
{
    for (int i = 0; i < T(PARTS); i++) {
        const C(vec) x = C(add)(*T(part)(&in[0], i), *T(part)(&in[1], i));

        *T(part)(&in[2], i) = x;
        *T(part)(&in[3], i) = z(T(within)(x, end));
    }
}

/* D(act(x)); in = {.., .., x, e}, where x includes the bias. */
FORCE_INLINE T(packed) T(activate)(T(activation) * act, double end, T(vec) * in, keep_bits keep,
                                   int v, const C(vec) * p)
{
    T(vec) y;

    for (int i = 0; i < T(PARTS); i++) {
        const C(mask) kept = T(keep)(keep, v, i);
        const C(vec) x = *T(part)(&in[2], i), e = *T(part)(&in[3], i);
        const C(vec) value = C(mul)(act(x, e, kept), p[0]);

        *T(part)(&y, i) = C(only)(C(above)(kept, x, C(set1)(-end)), value);
    }
    return T(round)(y);
}

/* From in = {dy, x, bias} to {dy, .., .., s, z}. */
FORCE_INLINE void T(activate_grad_first)(T(exponent) * z, double end, T(vec) * in)
{
    for (int i = 0; i < T(PARTS); i++) {
        const C(vec) x = C(add)(*T(part)(&in[1], i), *T(part)(&in[2], i));
        const C(vec) s = T(within)(x, end);

        *T(part)(&in[3], i) = s;
        *T(part)(&in[4], i) = z(s);
    }
}

/*
 * D'(dy) * slope(s); in = {dy, .., .., s, e}. Both factors are selected, so that what is dropped is
 * +0 * +0: infinity * 0, which may be trapped, is not computed for it.
 */
FORCE_INLINE T(packed) T(activate_grad)(T(activation) * slope, double end, T(vec) * in,
                                        keep_bits keep, int v, const C(vec) * p)
{
    T(vec) dx;

    for (int i = 0; i < T(PARTS); i++) {
        const C(mask) kept = T(keep)(keep, v, i);
        const C(vec) s = *T(part)(&in[3], i), e = *T(part)(&in[4], i);
        const C(vec) g = C(only)(kept, C(mul)(*T(part)(&in[0], i), p[0]));
        const C(vec) d = C(only)(C(above)(kept, s, C(set1)(-end)), slope(s, e, kept));

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

/* Both phases of an activation and of its derivative. */
#define ACTIVATION(name, END)                                                                      \
    FORCE_INLINE void T(first_##name)(T(vec) * in)                                                 \
    {                                                                                              \
        T(activate_first)(T(name##_exponent), END, in);                                            \
    }                                                                                              \
    FORCE_INLINE T(packed)                                                                         \
        T(second_##name)(T(vec) * in, keep_bits keep, int v, const C(vec) * p, uint32_t * marks)   \
    {                                                                                              \
        (void)marks;                                                                               \
        return T(activate)(T(name), END, in, keep, v, p);                                          \
    }                                                                                              \
    FORCE_INLINE void T(first_##name##_grad)(T(vec) * in)                                          \
    {                                                                                              \
        T(activate_grad_first)(T(name##_exponent), END, in);                                       \
    }                                                                                              \
    FORCE_INLINE T(packed) T(second_##name##_grad)(T(vec) * in, keep_bits keep, int v,             \
                                                   const C(vec) * p, uint32_t * marks)             \
    {                                                                                              \
        (void)marks;                                                                               \
        return T(activate_grad)(T(name##_slope), END, in, keep, v, p);                             \
    }

#endif
