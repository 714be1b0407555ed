/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies: what happens to one vector of data, given its keep bits. apply.h makes the loops around
 * them. A body is written for f32 and f64; the half types are loaded as f32 and rounded when
 * stored.
 */
#ifndef BITDROP_TEMPLATE_BODY_APPLY_H
#define BITDROP_TEMPLATE_BODY_APPLY_H

/* x * scale where kept and +0 elsewhere, for vector v of a strip. */
static inline f32_vec f32_body_apply(f32_vec x, keep_bits keep, int v, f32_vec scale)
{
    return f32_keep(f32_mul(x, scale), keep, v);
}

static inline f64_vec f64_body_apply(f64_vec x, keep_bits keep, int v, f64_vec scale)
{
    return f64_keep(f64_mul(x, scale), keep, v);
}

#endif
