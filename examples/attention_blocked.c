/* SPDX-License-Identifier: Apache-2.0 */
#include "attention.h"

#include <stdio.h>
#include <stdlib.h>

#include "must.h"

static void *allocate_scratch(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);

    if (p == NULL) {
        fputs(PROGRAM ": out of memory\n", stderr);
        exit(1);
    }
    return p;
}

void blocked_init(struct blocked *b, const struct attention *a, bitdrop_dtype dtype)
{
    const size_t width = width_of(a), row = 3 * width, rows = a->batch * a->heads * a->tokens;

    *b = (struct blocked){.dtype = dtype, .size = dtype == BITDROP_F64 ? 8 : 4};
    b->cfg = config_of(a);
    b->cfg.mask_use = BITDROP_MASK_REMADE; /* no mask in memory: backward makes the bits again */
    b->shape = (bitdrop_attention){.batch = a->batch,
                                   .heads = a->heads,
                                   .queries = a->tokens,
                                   .keys = a->tokens,
                                   .dim = a->dim,
                                   .q_strides = {a->tokens * row, a->dim, row},
                                   .k_strides = {a->tokens * row, a->dim, row},
                                   .v_strides = {a->tokens * row, a->dim, row},
                                   .out_strides = {a->tokens * width, a->dim, width},
                                   .causal = a->causal};
    b->lse = allocate(rows, b->size);
    b->kept_bytes = rows * b->size;
    b->scratch = allocate_scratch(bitdrop_attention_scratch_bytes(&b->cfg, dtype, &b->shape));
}

void blocked_free(struct blocked *b)
{
    free(b->lse);
    free(b->scratch);
}

/* Where q, k and v, or their gradients, begin in their matrix. */
struct thirds {
    void *q, *k, *v;
};

static struct thirds thirds_of(const struct blocked *b, void *qkv)
{
    const size_t bytes = b->shape.heads * b->shape.dim * b->size;
    unsigned char *q = qkv;

    return (struct thirds){q, q + bytes, q + 2 * bytes};
}

void blocked_forward(const struct blocked *b, const struct tensors *t)
{
    const struct thirds x = thirds_of(b, t->qkv);

    must(bitdrop_attention_forward(&b->cfg, b->dtype, &b->shape, x.q, x.k, x.v, t->out, b->lse,
                                   NULL, b->scratch));
}

void blocked_backward(const struct blocked *b, const struct tensors *t)
{
    const struct thirds x = thirds_of(b, t->qkv), dx = thirds_of(b, t->dqkv);

    must(bitdrop_attention_backward(&b->cfg, b->dtype, &b->shape, t->dout, x.q, x.k, x.v, t->out,
                                    b->lse, dx.q, dx.k, dx.v, NULL, b->scratch));
}
