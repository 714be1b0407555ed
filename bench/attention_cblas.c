/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention as an engine computes it without blocks and without fused dropout. For each head it
 * calls cblas for products of matrices, and softmax and dropout between them. It keeps the
 * probabilities and a mask of bits for the backward pass.
 */
#include "attention.h"

#ifdef BENCH_CBLAS
#include <cblas.h>

#include "fail.h"

/* prob and mask have all heads, the others one. */
static struct {
    void *prob, *mask, *scores, *dropped;
    size_t prob_capacity, mask_capacity, scores_capacity, dropped_capacity;
} buffers;

static size_t scores_of(const struct attention_case *c)
{
    return c->sizes->tokens * c->sizes->tokens;
}

const char *attention_cblas_name(void)
{
    static char name[64];

    snprintf(name, sizeof name, "OpenBLAS for %s", openblas_get_corename());
    return name;
}

void attention_cblas_prepare(const struct attention_case *c)
{
    const size_t heads = c->sizes->batch * c->sizes->heads, n = scores_of(c);

    openblas_set_num_threads(1);
    attention_reserve(&buffers.prob, &buffers.prob_capacity, heads * n * sizeof(float));
    attention_reserve(&buffers.mask, &buffers.mask_capacity, heads * bitdrop_mask_bytes(n));
    attention_reserve(&buffers.scores, &buffers.scores_capacity, n * sizeof(float));
    attention_reserve(&buffers.dropped, &buffers.dropped_capacity, n * sizeof(float));
}

static void must(bitdrop_status status)
{
    if (status != BITDROP_OK)
        fail(bitdrop_status_string(status));
}

/* The arguments of one head. */
struct head {
    const struct attention_case *c;
    bitdrop_config dropout, no_dropout;
    bitdrop_2d shape;
    bitdrop_softmax soft;
    const float *q, *k, *v, *dout;
    float *out, *dq, *dk, *dv;
    float *prob;
    uint8_t *mask;
};

static struct head head_of(const struct attention_case *c, size_t index, uint64_t offset)
{
    const struct attention_memory *m = attention_memory();
    const size_t n = scores_of(c), tokens = c->sizes->tokens, at = index * tokens * ATTENTION_DIM;
    const uint8_t isa = (uint8_t)c->isa;

    return (struct head){
        .c = c,
        .dropout = {.p = c->p, .seed = 1, .offset = offset + index * n, .isa = isa},
        .no_dropout = {.isa = isa, .mask_use = BITDROP_MASK_REMADE},
        .shape = {.rows = tokens, .cols = tokens},
        .soft = {.scale = 0.125, .causal_rows = c->sizes->causal ? tokens : 0},
        .q = (float *)m->q + at,
        .k = (float *)m->k + at,
        .v = (float *)m->v + at,
        .out = (float *)m->out + at,
        .dout = (float *)m->dout + at,
        .dq = (float *)m->dq + at,
        .dk = (float *)m->dk + at,
        .dv = (float *)m->dv + at,
        .prob = (float *)buffers.prob + index * n,
        .mask = (uint8_t *)buffers.mask + index * bitdrop_mask_bytes(n),
    };
}

/* buffers.scores = x y^T. */
static void scores_from(const struct head *h, const float *x, const float *y)
{
    const int tokens = (int)h->c->sizes->tokens;

    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, tokens, tokens, ATTENTION_DIM, 1, x,
                ATTENTION_DIM, y, ATTENTION_DIM, 0, buffers.scores, tokens);
}

/* y = matrix x, or matrix^T x. */
static void product(const struct head *h, CBLAS_TRANSPOSE transpose, const float *matrix,
                    const float *x, float *y)
{
    const int tokens = (int)h->c->sizes->tokens;

    cblas_sgemm(CblasRowMajor, transpose, CblasNoTrans, tokens, ATTENTION_DIM, tokens, 1, matrix,
                tokens, x, ATTENTION_DIM, 0, y, ATTENTION_DIM);
}

static void forward(const struct head *h)
{
    const float *dropped = h->prob;

    scores_from(h, h->q, h->k);
    must(bitdrop_forward_softmax(&h->no_dropout, BITDROP_F32, &h->shape, &h->soft, buffers.scores,
                                 NULL, h->prob, NULL));
    if (h->dropout.p > 0) {
        must(bitdrop_forward(&h->dropout, BITDROP_F32, scores_of(h->c), h->prob, buffers.dropped,
                             h->mask));
        dropped = buffers.dropped;
    }
    product(h, CblasNoTrans, dropped, h->v, h->out);
}

static void backward(const struct head *h)
{
    const size_t n = scores_of(h->c);
    const float *dropped = h->prob;

    if (h->dropout.p > 0) { /* computed again, because it is as large as prob */
        must(bitdrop_backward(&h->dropout, BITDROP_F32, n, h->prob, buffers.dropped, h->mask));
        dropped = buffers.dropped;
    }
    product(h, CblasTrans, dropped, h->dout, h->dv);
    scores_from(h, h->dout, h->v);
    if (h->dropout.p > 0)
        must(
            bitdrop_backward(&h->dropout, BITDROP_F32, n, buffers.scores, buffers.scores, h->mask));
    must(bitdrop_backward_softmax(&h->no_dropout, BITDROP_F32, &h->shape, &h->soft, buffers.scores,
                                  h->prob, buffers.scores, NULL));
    product(h, CblasNoTrans, buffers.scores, h->k, h->dq);
    product(h, CblasTrans, buffers.scores, h->q, h->dk);
}

void attention_cblas_repeat(void *argument, size_t calls)
{
    const struct attention_case *c = argument;
    const size_t heads = c->sizes->batch * c->sizes->heads;

    for (size_t i = 0; i < calls; i++) {
        const uint64_t offset = i * heads * scores_of(c);

        for (size_t index = 0; index < heads; index++) {
            const struct head h = head_of(c, index, offset);

            forward(&h);
        }
        for (size_t index = 0; index < heads; index++) {
            const struct head h = head_of(c, index, offset);

            backward(&h);
        }
    }
}

#else

const char *attention_cblas_name(void) { return NULL; }

void attention_cblas_prepare(const struct attention_case *c) { (void)c; }

void attention_cblas_repeat(void *argument, size_t calls)
{
    (void)argument;
    (void)calls;
}

#endif
