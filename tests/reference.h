/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each operation makes of one element: the formulas of docs/reference.md, said again slowly
 * and plainly. It takes the names of the operations from the list, and nothing else from src/.
 */
#ifndef BITDROP_TESTS_REFERENCE_H
#define BITDROP_TESTS_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "bitdrop/bitdrop.h"
#include "operations.h"

struct element {
    enum bitdrop_operation op;
    const bitdrop_config *cfg;
    bitdrop_dtype dtype;
    const void *in[BITDROP_MAX_INPUTS]; /* NULL where the call's is; at any address */
    uint64_t index;                     /* absolute, where numbers are made of it */
    bool stored;                        /* keep was read from a mask, else made */
    bool keep;

    /* What comes out. */
    unsigned char y[8];
    bool bit;     /* of a written mask */
    bool any_nan; /* y, if it is a NaN, was made from numbers, or of two NaNs that met */

    bool between; /* y may be any number from low to high; what it is means nothing */
    unsigned char low[8], high[8]; /* but if it is a NaN, y may be one */

    bool flush; /* compute as NEON of ARMv7 does: denormals of f32 are zeros. Set by accepts() */
    bool copied;
};

/* Fills in what comes out. */
void reference(struct element *e);

/*
 * Whether an ISA may write y, and the mask bit unless that is NULL, for an element that went
 * through reference(): the same, or another NaN where any may stand, or what ARMv7's NEON makes of
 * denormals.
 */
bool reference_accepts(bitdrop_isa isa, const struct element *e, const void *y, const bool *bit);

/* What check_hash.c must find for an operation, on every machine; if by math, with SLEEF 3.5.1. */
uint64_t reference_hash(enum bitdrop_operation op);

/* Whether an operation is made of vector math, so that its values have tolerances. */
bool reference_by_math(enum bitdrop_operation op);

#endif
