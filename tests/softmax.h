/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second implementation of the softmax calls of docs/reference.md, one row at a time, in double.
 * It shares only the types of the public header with src/.
 */
#ifndef BITDROP_TESTS_SOFTMAX_H
#define BITDROP_TESTS_SOFTMAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitdrop/bitdrop.h"

enum { SOFTMAX_COLS = 10000 }; /* at most */

/* A row of a call. R is its number in the whole matrix, where the call begins at first_row. */
struct softmax_row {
    bitdrop_dtype dtype;
    const bitdrop_config *cfg;
    const bitdrop_softmax *soft;
    uint64_t R, first_row;
    size_t cols;
    const void *x, *bias;  /* of this row. bias is NULL if there is none */
    const void *dy, *prob; /* of this row, for backward calls */
    bool keep[SOFTMAX_COLS];
};

/* The least and the greatest number that a result may be. If both are NaNs it must be a NaN. */
struct softmax_range {
    double low, high;
};

/* How many columns the row sees, and which row of the bias it reads. */
size_t softmax_seen(const struct softmax_row *row);
uint64_t softmax_bias_row(const struct softmax_row *row);

/* The results of the forward call. prob and y have `cols` ranges. */
void softmax_forward(const struct softmax_row *row, struct softmax_range *prob,
                     struct softmax_range *y, struct softmax_range *lse);

/* The results of the backward call, which are exact: no other bits are allowed. */
void softmax_backward(const struct softmax_row *row, double *dx);

/* The scale of D, rounded to the compute type. */
double softmax_dropout_scale(const struct softmax_row *row);

#endif
