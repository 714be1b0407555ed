/* SPDX-License-Identifier: Apache-2.0 */
#include "attention.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

#include "must.h"

static size_t scores_of(const struct attention *a) { return a->tokens * a->tokens; }

/* Bytes of a mask of one matrix. */
static size_t mask_bytes(const struct attention *a, enum mask_format format)
{
    if (format == BITS)
        return a->tokens * bitdrop_mask_bytes(a->tokens);
    return scores_of(a) * (format == FLOATS ? sizeof(float) : 1);
}

void unfused_init(struct unfused *u, const struct attention *a, enum mask_format format)
{
    const size_t matrices = a->batch * a->heads, n = scores_of(a);

    *u = (struct unfused){.a = a, .format = format};
    u->prob = allocate(matrices * n, sizeof(float));
    u->mask = allocate(matrices, mask_bytes(a, format));
    u->scores = allocate(n, sizeof(float));
    u->dropped = allocate(n, sizeof(float));
    u->bits = allocate(bitdrop_mask_bytes(n), 1);
    u->bytes = allocate(n, 1);
    u->kept_bytes = matrices * (n * sizeof(float) + mask_bytes(a, format));
}

void unfused_free(struct unfused *u)
{
    free(u->prob);
    free(u->mask);
    free(u->scores);
    free(u->dropped);
    free(u->bits);
    free(u->bytes);
}

/* Indices of a head of a sample: of its matrix, of its q in qkv, and of its columns in out. */
struct place {
    size_t scores, in_qkv, in_out;
};

static struct place place_of(const struct attention *a, size_t sample, size_t head)
{
    return (struct place){.scores = (sample * a->heads + head) * scores_of(a),
                          .in_qkv = sample * a->tokens * 3 * width_of(a) + head * a->dim,
                          .in_out = sample * a->tokens * width_of(a) + head * a->dim};
}

static void *mask_at(const struct unfused *u, struct place at)
{
    return (unsigned char *)u->mask + at.scores / scores_of(u->a) * mask_bytes(u->a, u->format);
}

/* Makes the mask of a matrix in the format BYTES or FLOATS, from its bits. */
static void make_mask(const struct unfused *u, struct place at)
{
    const size_t n = scores_of(u->a);
    const float scale = (float)(1 / (1 - u->a->p));
    bitdrop_config cfg = config_of(u->a);

    cfg.offset = at.scores;
    must(bitdrop_mask(&cfg, n, u->bits));
    if (u->format == BYTES) {
        must(bitdrop_mask_unpack(n, u->bits, mask_at(u, at)));
    } else {
        float *mask = mask_at(u, at);

        must(bitdrop_mask_unpack(n, u->bits, u->bytes));
        for (size_t i = 0; i < n; i++)
            mask[i] = u->bytes[i] ? scale : 0;
    }
}

/* y = dropout of x, by a mask of floats or bytes. */
static void drop(const struct unfused *u, struct place at, const float *x, float *y)
{
    const size_t n = scores_of(u->a);
    const float scale = (float)(1 / (1 - u->a->p));

    if (u->format == FLOATS) {
        const float *mask = mask_at(u, at);

        for (size_t i = 0; i < n; i++)
            y[i] = x[i] * mask[i];
    } else {
        const uint8_t *mask = mask_at(u, at);

        for (size_t i = 0; i < n; i++)
            y[i] = x[i] * (scale * mask[i]);
    }
}

static const bitdrop_config no_dropout = {.mask_use = BITDROP_MASK_REMADE};

static bitdrop_softmax softmax_of(const struct attention *a)
{
    return (bitdrop_softmax){.scale = 1 / sqrt((double)a->dim),
                             .causal_rows = a->causal ? a->tokens : 0};
}

/* u->dropped = dropout(softmax(u->scores / sqrt(dim))). Keeps prob and mask for backward. */
static void softmax_dropout(const struct unfused *u, struct place at)
{
    const bitdrop_2d shape = {.rows = u->a->tokens, .cols = u->a->tokens};
    const bitdrop_softmax soft = softmax_of(u->a);
    float *prob = u->prob + at.scores;

    if (u->format == BITS) {
        bitdrop_config cfg = config_of(u->a);

        cfg.offset = at.scores;
        must(bitdrop_forward_softmax(&cfg, BITDROP_F32, &shape, &soft, u->scores, prob, u->dropped,
                                     mask_at(u, at)));
    } else {
        must(bitdrop_forward_softmax(&no_dropout, BITDROP_F32, &shape, &soft, u->scores, NULL, prob,
                                     NULL));
        make_mask(u, at);
        drop(u, at, prob, u->dropped);
    }
}

/* Computes u->dropped again. Keeping it would cost 4 more bytes for each probability. */
static void drop_again(const struct unfused *u, struct place at)
{
    const bitdrop_2d shape = {.rows = u->a->tokens, .cols = u->a->tokens};
    const bitdrop_config cfg = config_of(u->a);

    if (u->format == BITS)
        must(bitdrop_backward_2d(&cfg, BITDROP_F32, &shape, u->prob + at.scores, u->dropped,
                                 mask_at(u, at)));
    else
        drop(u, at, u->prob + at.scores, u->dropped);
}

/* Replaces the gradient of u->dropped, in u->scores, by the gradient of q k^T. */
static void softmax_dropout_backward(const struct unfused *u, struct place at)
{
    const bitdrop_2d shape = {.rows = u->a->tokens, .cols = u->a->tokens};
    const bitdrop_softmax soft = softmax_of(u->a);
    const bitdrop_config cfg = config_of(u->a);
    const float *prob = u->prob + at.scores;

    if (u->format == BITS) {
        must(bitdrop_backward_softmax(&cfg, BITDROP_F32, &shape, &soft, u->scores, prob, u->scores,
                                      mask_at(u, at)));
    } else {
        drop(u, at, u->scores, u->scores);
        must(bitdrop_backward_softmax(&no_dropout, BITDROP_F32, &shape, &soft, u->scores, prob,
                                      u->scores, NULL));
    }
}

/* Products for one head. Strides are from row to row, in elements. */

/* scores = x y^T. */
static void scores_from(const struct attention *a, const float *x, size_t x_stride, const float *y,
                        size_t y_stride, float *scores)
{
    const int tokens = (int)a->tokens;

    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, tokens, tokens, (int)a->dim, 1, x,
                (int)x_stride, y, (int)y_stride, 0, scores, tokens);
}

/* z = scores x, or scores^T x. */
static void scores_times(const struct attention *a, CBLAS_TRANSPOSE transpose, const float *scores,
                         const float *x, size_t x_stride, float *z, size_t z_stride)
{
    const int tokens = (int)a->tokens;

    cblas_sgemm(CblasRowMajor, transpose, CblasNoTrans, tokens, (int)a->dim, tokens, 1, scores,
                tokens, x, (int)x_stride, 0, z, (int)z_stride);
}

void unfused_forward(const struct unfused *u, const struct tensors *t)
{
    const struct attention *a = u->a;
    const size_t width = width_of(a), row = 3 * width;

    for (size_t sample = 0; sample < a->batch; sample++)
        for (size_t head = 0; head < a->heads; head++) {
            const struct place at = place_of(a, sample, head);
            const float *q = (float *)t->qkv + at.in_qkv, *k = q + width, *v = k + width;

            scores_from(a, q, row, k, row, u->scores);
            softmax_dropout(u, at);
            scores_times(a, CblasNoTrans, u->dropped, v, row, (float *)t->out + at.in_out, width);
        }
}

void unfused_backward(const struct unfused *u, const struct tensors *t)
{
    const struct attention *a = u->a;
    const size_t width = width_of(a), row = 3 * width;

    for (size_t sample = 0; sample < a->batch; sample++)
        for (size_t head = 0; head < a->heads; head++) {
            const struct place at = place_of(a, sample, head);
            const float *q = (float *)t->qkv + at.in_qkv, *k = q + width, *v = k + width;
            const float *dout = (float *)t->dout + at.in_out;
            float *dq = (float *)t->dqkv + at.in_qkv, *dk = dq + width, *dv = dk + width;

            drop_again(u, at);
            scores_times(a, CblasTrans, u->dropped, dout, width, dv, row);
            scores_from(a, dout, width, v, row, u->scores);
            softmax_dropout_backward(u, at);
            scores_times(a, CblasNoTrans, u->scores, k, row, dq, row);
            scores_times(a, CblasTrans, u->scores, q, row, dk, row);
        }
}
