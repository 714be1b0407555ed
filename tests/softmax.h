/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The softmax calls of docs/reference.md said again, one row at a time, in doubles. Shares nothing
 * with src/ but the public header's types.
 */
#ifndef BITDROP_TESTS_SOFTMAX_H
#define BITDROP_TESTS_SOFTMAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitdrop/bitdrop.h"

enum { SOFTMAX_COLS = 10000 }; /* at most */

/* A row of a call, R of the whole. */
struct softmax_row {
    bitdrop_dtype dtype;
    const bitdrop_config *cfg;
    const bitdrop_softmax *soft;
    uint64_t R, first_row;
    size_t cols;
    const void *x, *bias;  /* of this row; bias NULL: none */
    const void *dy, *prob; /* of backward calls */
    bool keep[SOFTMAX_COLS];
};

/* Numbers between which something must lie. If both are NaN it is a NaN. */
struct softmax_range {
    double low, high;
};

/* The columns that the row sees, and the row of the bias that it takes. */
size_t softmax_seen(const struct softmax_row *row);
uint64_t softmax_bias_row(const struct softmax_row *row);

/* What the forward call makes of the row. y and prob have cols ranges. */
void softmax_forward(const struct softmax_row *row, struct softmax_range *prob,
                     struct softmax_range *y, struct softmax_range *lse);

/* What the backward call makes of it, exactly. */
void softmax_backward(const struct softmax_row *row, double *dx);

/* The scale of D, as it is multiplied. */
double softmax_dropout_scale(const struct softmax_row *row);

#endif
