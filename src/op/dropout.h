/* SPDX-License-Identifier: Apache-2.0 */
/* x * scale where kept and +0 elsewhere. */
#ifdef BITDROP_PARAMETERS

/*
 * 1 - p, and 1 for a p of 1. At p = 1, avoid 1/0 and x * infinity when the result is not needed:
 * the caller may have unmasked these exceptions. A sum, because clang may divide by both results of
 * a conditional expression and then choose a quotient.
 */
static double nonzero_q(double p) { return 1 - p + (p == 1); }

/* p[0] is the scale. */
static void scale_parameters(const bitdrop_config *cfg, bool given, double *p)
{
    const double scale = 1 / nonzero_q(cfg->p);

    if (cfg->scaling == BITDROP_SCALE_INFER)
        p[0] = 1;
    else
        p[0] = cfg->p == 1 && given ? INFINITY : scale; /* generated bits keep nothing */
}

static void infer_parameters(const bitdrop_config *cfg, bool given, double *p)
{
    (void)given;
    p[0] = 1 - cfg->p;
}

#else

/* By _kept, which for a product alone is faster than selecting and rounding. */
FORCE_INLINE T(packed)
    T(op_dropout)(T(vec) * in, keep_bits keep, int v, const C(vec) * p, uint32_t *marks)
{
    (void)marks;
    return T(kept)(T(mul)(in[0], p[0]), keep, v);
}

#endif
