/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention as engines have it that know neither of blocks nor of fused dropout: products of
 * matrices by cblas, and between them calls of softmax and of dropout, head by head. The
 * probabilities and a mask of bits are kept for the backward pass.
 */
#include "attention.h"

#ifdef BENCH_CBLAS
#include <cblas.h>

#include "fail.h"

/* prob and mask are of all heads, the others of one. */
static struct {
    void *prob, *mask, *scores, *dropped;
    size_t prob_room, mask_room, scores_room, dropped_room;
} room;

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
    attention_reserve(&room.prob, &room.prob_room, heads * n * sizeof(float));
    attention_reserve(&room.mask, &room.mask_room, heads * bitdrop_mask_bytes(n));
    attention_reserve(&room.scores, &room.scores_room, n * sizeof(float));
    attention_reserve(&room.dropped, &room.dropped_room, n * sizeof(float));
}

static void must(bitdrop_status status)
{
    if (status != BITDROP_OK)
        fail(bitdrop_status_string(status));
}

/* What belongs to one head. */
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
        .prob = (float *)room.prob + index * n,
        .mask = (uint8_t *)room.mask + index * bitdrop_mask_bytes(n),
    };
}

/* room.scores = x y^T. */
static void scores_from(const struct head *h, const float *x, const float *y)
{
    const int tokens = (int)h->c->sizes->tokens;

    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, tokens, tokens, ATTENTION_DIM, 1, x,
                ATTENTION_DIM, y, ATTENTION_DIM, 0, room.scores, tokens);
}

/* y = matrix x, or its transpose times x. */
static void times(const struct head *h, CBLAS_TRANSPOSE turned, const float *matrix, const float *x,
                  float *y)
{
    const int tokens = (int)h->c->sizes->tokens;

    cblas_sgemm(CblasRowMajor, turned, CblasNoTrans, tokens, ATTENTION_DIM, tokens, 1, matrix,
                tokens, x, ATTENTION_DIM, 0, y, ATTENTION_DIM);
}

static void forward(const struct head *h)
{
    const float *dropped = h->prob;

    scores_from(h, h->q, h->k);
    must(bitdrop_forward_softmax(&h->no_dropout, BITDROP_F32, &h->shape, &h->soft, room.scores,
                                 NULL, h->prob, NULL));
    if (h->dropout.p > 0) {
        must(bitdrop_forward(&h->dropout, BITDROP_F32, scores_of(h->c), h->prob, room.dropped,
                             h->mask));
        dropped = room.dropped;
    }
    times(h, CblasNoTrans, dropped, h->v, h->out);
}

static void backward(const struct head *h)
{
    const size_t n = scores_of(h->c);
    const float *dropped = h->prob;

    if (h->dropout.p > 0) { /* again: keeping it takes as much memory as prob */
        must(bitdrop_backward(&h->dropout, BITDROP_F32, n, h->prob, room.dropped, h->mask));
        dropped = room.dropped;
    }
    times(h, CblasTrans, dropped, h->dout, h->dv);
    scores_from(h, h->dout, h->v);
    if (h->dropout.p > 0)
        must(bitdrop_backward(&h->dropout, BITDROP_F32, n, room.scores, room.scores, h->mask));
    must(bitdrop_backward_softmax(&h->no_dropout, BITDROP_F32, &h->shape, &h->soft, room.scores,
                                  h->prob, room.scores, NULL));
    times(h, CblasNoTrans, room.scores, h->k, h->dq);
    times(h, CblasTrans, room.scores, h->q, h->dk);
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
