/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The four sites of a transformer block that have dropout, each with the operations beside it: a
 * softmax before it, an activation before it, or a bias before it and a residual after it. Each
 * site is one fused call of bitdrop, or separate passes over memory. Both give the same values, to
 * the bit.
 */
#ifndef DROPOUT_SITES_H
#define DROPOUT_SITES_H

#include <bitdrop/bitdrop.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum site { AFTER_SOFTMAX, AFTER_ATTENTION, AFTER_GELU, AFTER_MLP, SITES };

struct sites {
    bool fused;
    double p;
    uint64_t seed;
    uint64_t step;        /* of training: each step draws other masks */
    uint8_t *mask[SITES]; /* separate passes keep it for backward; fused calls make it again */
    float *dropped;       /* probabilities after dropout, which separate passes keep too */
    float *scratch;       /* as large as the largest matrix; keeps nothing for backward */
    size_t kept_bytes;    /* of masks and dropped probabilities */
    double seconds;       /* spent in these functions */
};

/* elements: number of elements of the matrix at each site. */
void sites_init(struct sites *s, bool fused, double p, uint64_t seed, const size_t elements[SITES]);
void sites_free(struct sites *s);

/* D is dropout in these formulas. */

/*
 * prob = softmax of scale * scores in each row. Row r sees the columns up to r % cols. Returns
 * D(prob), which is valid until the next call of one of these functions. Overwrites scores.
 */
const float *softmax_dropout(struct sites *s, size_t rows, size_t cols, double scale, float *scores,
                             float *prob);

/* Returns D(prob) again, to compute the gradient of v, which D(prob) is multiplied by. */
const float *softmax_dropped(struct sites *s, size_t rows, size_t cols, const float *prob);

/* Replaces the gradient of D(prob), in dscores, by the gradient of scores. */
void softmax_dropout_backward(struct sites *s, size_t rows, size_t cols, double scale,
                              const float *prob, float *dscores);

/* y = D(gelu(x + bias)). May add the bias to x. Keep x for backward. */
void gelu_dropout(struct sites *s, size_t rows, size_t cols, float *x, const float *bias, float *y);

/* Replaces the gradient of y, in dx, by the gradient of x. */
void gelu_dropout_backward(struct sites *s, size_t rows, size_t cols, const float *x,
                           const float *bias, float *dx);

/* y = residual + D(x + bias). May overwrite x. */
void add_dropout(struct sites *s, enum site site, size_t rows, size_t cols, float *x,
                 const float *bias, const float *residual, float *y);

/* dx = gradient of x + bias, from dy, the gradient of y. The gradient of residual is dy too. */
void add_dropout_backward(struct sites *s, enum site site, size_t rows, size_t cols,
                          const float *dy, float *dx);

#endif
