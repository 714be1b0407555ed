/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Computes what each operation must do with one element: a simple and slow implementation of the
 * formulas of docs/reference.md. It uses the list of operations, and nothing else from src/.
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
    const void *in[BITDROP_MAX_INPUTS]; /* the element of each input, or NULL; at any address */
    uint64_t index;                     /* absolute; only noise uses it */
    bool stored;                        /* keep was read from a mask; else the generator made it */
    bool keep;

    /* The results. */
    unsigned char y[8];
    bool bit;     /* of the mask, if the operation writes one */
    bool any_nan; /* a NaN in y may be any: it was made from numbers, or from two NaNs */

    bool between; /* y may be any number from low to high. y itself only says if it may be a NaN */
    unsigned char low[8], high[8];

    /* Compute as NEON of ARMv7 does: it treats denormals of f32 as 0. Set by reference_accepts. */
    bool flush;
    bool copied; /* y has the bits of the input, even if that is a signalling NaN */
};

/* Computes the results of an element. */
void reference(struct element *e);

/*
 * Whether an ISA may write y, and the mask bit unless `bit` is NULL, for an element that
 * reference() has computed. It may write the same, or another NaN if any_nan allows that. NEON of
 * ARMv7 may also treat denormals as 0.
 */
bool reference_accepts(bitdrop_isa isa, const struct element *e, const void *y, const bool *bit);

/* The hash that check_hash.c must find. If the operation is by math, it needs SLEEF 3.5.1. */
uint64_t reference_hash(enum bitdrop_operation op);

/* Whether an operation uses vector math, so that its values have tolerances. */
bool reference_by_math(enum bitdrop_operation op);

#endif
