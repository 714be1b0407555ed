/* SPDX-License-Identifier: Apache-2.0 */
/* Alpha dropout (Klambauer et al., NIPS 2017): x * a + b where kept, d elsewhere. in = {x}. */
#ifdef BITDROP_PARAMETERS

/*
 * p[0] is a, p[1] is b and p[2] is d. A standard normal x keeps mean 0 and variance 1. At p = 1 all
 * elements become +0, except those that a given mask keeps.
 */
static void alpha_parameters(const bitdrop_config *cfg, bool given, double *p)
{
    const double alpha = 1.7580993408473766; /* scale * alpha of SELU */
    const double q = nonzero_q(cfg->p);
    const double square = 1 + cfg->p * alpha * alpha;
    const double a = 1 / sqrt(q * square);

    p[0] = cfg->p == 1 && given ? INFINITY : a;
    p[1] = cfg->p == 1 ? 0 : a * cfg->p * alpha;
    p[2] = cfg->p == 1 ? 0 : -alpha * sqrt(q / square);
}

#else

FORCE_INLINE T(packed)
    T(op_alpha)(T(vec) * in, keep_bits keep, int v, const C(vec) * p, uint32_t *marks)
{
    T(vec) y;

    (void)marks;
    for (int i = 0; i < T(PARTS); i++) {
        const C(vec) kept = C(add)(C(mul)(*T(part)(&in[0], i), p[0]), p[1]);

        *T(part)(&y, i) = C(select)(T(keep)(keep, v, i), kept, p[2]);
    }
    return T(round)(y);
}

#endif
