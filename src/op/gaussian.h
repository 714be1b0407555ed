/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gaussian dropout (Srivastava et al., JMLR 15, 2014, section 10): x * (1 + s * N), where N is
 * standard normal noise.
 */
#ifdef BITDROP_PARAMETERS

/* p[0] is s, the standard deviation of the factor of x. cfg->p is below 1. */
static void gaussian_parameters(const bitdrop_config *cfg, bool given, double *p)
{
    (void)given;
    p[0] = sqrt(cfg->p / (1 - cfg->p));
}

#else

FORCE_INLINE T(packed) T(op_gaussian)(T(vec) x, T(vec) noise, const C(vec) * p)
{
    T(vec) y;

    for (int i = 0; i < T(PARTS); i++) {
        const C(vec) factor = C(add)(C(set1)(1), C(mul)(p[0], *T(part)(&noise, i)));

        *T(part)(&y, i) = C(mul)(*T(part)(&x, i), factor);
    }
    return T(round)(y);
}

#endif
