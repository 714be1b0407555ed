/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code that gelu.h, gelu_tanh.h and silu.h share. Each of them defines, for a name,
 *
 *     T(<name>_exponent)  z(s), the exponent
 *     T(<name>)           the activation, a function of x and e
 *     T(<name>_slope)     its derivative, a function of s and e
 *
 * where s is x clamped to [-end, end], and e is exp(z(s)). At and below -end both functions count
 * as 0. ACTIVATION(name, END) makes both phases of the two bodies of these.
 */
#ifndef BITDROP_PARAMETERS

#include "template/activation.h"

typedef C(vec) T(exponent)(C(vec) s);

/*
 * An activation of x, or a derivative at s. In lanes that are not kept, and at and below -end, the
 * result is not used.
 */
typedef C(vec) T(activation)(C(vec) x, C(vec) e, C(mask) kept);

FORCE_INLINE C(vec) T(within)(C(vec) x, double end)
{
    return C(clamp)(x, C(set1)(-end), C(set1)(end));
}

/* The first phase of an activation: from in = {x, bias} to {.., .., x + bias, z}. */
FORCE_INLINE void T(activate_first)(T(exponent) * z, double end, T(vec) * in)
{
    for (int i = 0; i < T(PARTS); i++) {
        const C(vec) x = C(add)(*T(part)(&in[0], i), *T(part)(&in[1], i));

        *T(part)(&in[2], i) = x;
        *T(part)(&in[3], i) = z(T(within)(x, end));
    }
}

/* The second phase: D(act(x)). in = {.., .., x, e}, where x includes the bias. */
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

/* The first phase of a derivative: from in = {dy, x, bias} to {dy, .., .., s, z}. */
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
 * The second phase: D'(dy) * slope(s). in = {dy, .., .., s, e}. Dropped lanes of both factors are
 * replaced by +0. So no infinity * 0 is computed there, which would raise FE_INVALID.
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
 * The derivative of x * L, where L is 1 / (1 + e) and e is exp(-u) for a function u of x:
 * L + x * u' * L * (1 - L). 1 - L is e * L. x_du is x * u'.
 */
FORCE_INLINE C(vec) T(logistic_slope)(C(vec) e, C(vec) x_du)
{
    const C(vec) one = C(set1)(1);
    const C(vec) l = C(div)(one, C(add)(one, e));

    return C(mul)(l, C(add)(one, C(mul)(x_du, C(mul)(e, l))));
}

/* Defines both phases of an activation, and of its derivative. */
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
