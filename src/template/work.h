/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between making keep bits and applying them. Philox waits for its multiplier, applying
 * for memory; so while one tile is made, the strips of the one before are applied, one after each
 * round or so. What makes bits is handed a step and the work it takes from, and knows no more of
 * it; both are known where it is inlined, so that a step is a few instructions between others.
 */
#ifndef BITDROP_TEMPLATE_WORK_H
#define BITDROP_TEMPLATE_WORK_H

#include "kernels.h"

#define FORCE_INLINE static inline __attribute__((always_inline))

enum { PREFETCH_AHEAD = 2048, CACHE_LINE = 64 }; /* bytes */

/* Whole strips of a piece that wait to be applied, and the job that they belong to. */
struct work {
    const struct bitdrop_job *job;
    const unsigned char *x;
    unsigned char *y;
    const uint8_t *bits; /* from a byte on */
    size_t strips;
    double scale;     /* as in the job: a copy, which stores to y cannot change */
    bool streaming;   /* as in the job */
    bool prefetch;    /* likewise */
    uint8_t *shifted; /* TILE_BYTES of room for bits that do not begin at a byte */
};

/* Applies the next strip, if there is one. */
typedef void work_step(struct work *work);

FORCE_INLINE void no_step(struct work *work) { (void)work; }

#endif
