/* SPDX-License-Identifier: Apache-2.0 */
/* Dropout: D(x), that is x * scale where kept and +0 elsewhere. in = {x}. */
#ifdef BITDROP_PARAMETERS

/*
 * 1 - p, but 1 at p = 1. At p = 1, avoid 1/0 and x * infinity when the result is not needed: the
 * caller may have unmasked these exceptions. This is a sum and not a conditional expression,
 * because clang may divide by both results of the latter and then choose a quotient.
 */
static double nonzero_q(double p) { return 1 - p + (p == 1); }

/* p[0] is the scale. */
static void scale_parameters(const bitdrop_config *cfg, bool given, double *p)
{
    const double scale = 1 / nonzero_q(cfg->p);

    if (cfg->scaling == BITDROP_SCALE_INFER)
        p[0] = 1;
    else
        p[0] = cfg->p == 1 && given ? INFINITY : scale; /* generated bits keep nothing at p = 1 */
}

static void infer_parameters(const bitdrop_config *cfg, bool given, double *p)
{
    (void)given;
    p[0] = 1 - cfg->p;
}

#else

/* T(kept) accepts a product only, and is faster than selecting and then T(round). */
FORCE_INLINE T(packed)
    T(op_dropout)(T(vec) * in, keep_bits keep, int v, const C(vec) * p, uint32_t *marks)
{
    (void)marks;
    return T(kept)(T(mul)(in[0], p[0]), keep, v);
}

#endif
