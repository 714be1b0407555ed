/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies: what happens to one vector of data, given its keep bits. apply.h makes the loops around
 * them and includes this once for each dtype, with its T and C. A body computes in f32 or f64, and
 * leaves its last step, selecting and rounding, to the vocabulary's _kept.
 */

/* x * scale where kept and +0 elsewhere, for vector v of a strip. */
FORCE_INLINE T(packed) T(body_apply)(T(vec) x, keep_bits keep, int v, C(vec) scale)
{
    return T(kept)(T(mul)(x, scale), keep, v);
}
