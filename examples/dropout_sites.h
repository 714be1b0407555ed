/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The four places of a transformer block where dropout stands, each with what stands beside it:
 * softmax before, an activation before, a bias before and a residual after. Each is one fused call
 * of bitdrop, or the same in separate passes over memory. Both give the same values, to the bit.
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
    uint64_t step; /* of training: each draws masks of its own */
    uint8_t
        *mask[SITES];  /* of separate passes, kept for backward; fused calls make the bits again */
    float *dropped;    /* of separate passes: probabilities after dropout, kept likewise */
    float *scratch;    /* as large as the largest matrix; nothing is kept in it */
    size_t kept_bytes; /* of masks and dropped probabilities */
    double seconds;    /* spent here */
};

/* elements: of the matrix of each site. */
void sites_init(struct sites *s, bool fused, double p, uint64_t seed, const size_t elements[SITES]);
void sites_free(struct sites *s);

/*
 * prob = softmax of scale * scores in each row, of which row r sees the columns up to r % cols;
 * returns D(prob), which stays valid until the next call here. scores are overwritten.
 */
const float *softmax_dropout(struct sites *s, size_t rows, size_t cols, double scale, float *scores,
                             float *prob);

/* D(prob) again. The gradient of v, which D(prob) is multiplied by, takes it. */
const float *softmax_dropped(struct sites *s, size_t rows, size_t cols, const float *prob);

/* dscores = gradient of the scores; dscores holds that of D(prob) before. */
void softmax_dropout_backward(struct sites *s, size_t rows, size_t cols, double scale,
                              const float *prob, float *dscores);

/* y = D(gelu(x + bias)). x is kept for backward, and may have the bias added to it. */
void gelu_dropout(struct sites *s, size_t rows, size_t cols, float *x, const float *bias, float *y);

/* dx = gradient of x; dx holds that of y before. */
void gelu_dropout_backward(struct sites *s, size_t rows, size_t cols, const float *x,
                           const float *bias, float *dx);

/* y = residual + D(x + bias). x is overwritten. */
void add_dropout(struct sites *s, enum site site, size_t rows, size_t cols, float *x,
                 const float *bias, const float *residual, float *y);

/* dx = gradient of x + bias, from dy. That of the residual is dy. */
void add_dropout_backward(struct sites *s, enum site site, size_t rows, size_t cols,
                          const float *dy, float *dx);

#endif
