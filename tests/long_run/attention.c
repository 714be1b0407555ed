/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention and its backward pass. ISAs add in different orders, so the answer is made by the same
 * ISA on one thread. The mask must be that of bitdrop_mask_2d by the scalar ISA. check_attention.c
 * tests whether the values are right.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "long_run.h"

enum { OUT, LSE, DQ, DK, DV, MASK };

struct plan {
    bitdrop_config cfg;
    bitdrop_attention a;
    bitdrop_dtype dtype;
    const void *q, *k, *v, *dout;
    size_t bytes[REGIONS];
};

static void draw_plan(struct worker *w, struct plan *p)
{
    static const size_t dims[] = {1, 5, 16, 32, 64, 80, 128};
    struct check *c = &w->c;
    const size_t most = w->most / 16, n = draw_size(c, most); /* n: about how many scores */
    bitdrop_attention *a = &p->a;

    *p = (struct plan){.cfg = check_random_config(c), .dtype = (bitdrop_dtype)check_below(c, 4)};
    p->cfg.offset >>= 1;
    p->cfg.mask_use = (uint8_t)check_below(c, 2);
    a->kv_heads = 1 + check_below(c, 3);
    a->heads = a->kv_heads * (1 + check_below(c, 3));
    a->batch = 1 + check_below(c, 2);
    a->keys = draw_size(c, n);
    a->queries = 1 + n / (a->keys * a->heads * a->batch);
    a->dim = dims[check_below(c, 7)];
    a->v_dim = check_below(c, 2) ? 0 : dims[check_below(c, 7)];
    /* Inputs must fit into the pools. */
    while (a->batch * a->heads * (a->queries + a->keys) * 128 > w->most) {
        a->keys = (a->keys + 1) / 2;
        a->queries = (a->queries + 1) / 2;
    }
    a->causal = (uint32_t)check_below(c, 2);
    if (a->causal)
        a->causal_first = (int64_t)a->keys - (int64_t)a->queries;
    if (check_below(c, 2)) /* one row of bias for all queries */
        a->bias = draw_input(c, pools.numbers, p->dtype);
    p->q = draw_input(c, pools.numbers, p->dtype);
    p->k = draw_input(c, pools.numbers, p->dtype);
    p->v = draw_input(c, pools.numbers, p->dtype);
    p->dout = draw_input(c, pools.numbers, p->dtype);

    const size_t bytes = dtype_bytes(p->dtype), v_dim = a->v_dim == 0 ? a->dim : a->v_dim;
    const size_t queries = a->batch * a->heads * a->queries,
                 keys = a->batch * a->kv_heads * a->keys;

    p->bytes[OUT] = queries * v_dim * bytes;
    p->bytes[LSE] = queries * (p->dtype == BITDROP_F64 ? 8 : 4);
    p->bytes[DQ] = queries * a->dim * bytes;
    p->bytes[DK] = keys * a->dim * bytes;
    p->bytes[DV] = keys * v_dim * bytes;
    p->bytes[MASK] = queries * bitdrop_mask_bytes(a->keys);
    snprintf(
        w->text, sizeof w->text,
        "attention %s, batch %zu, heads %zu of %zu, queries %zu, keys %zu, dim %zu %zu, causal "
        "%u, bias %d; p %a, seed %" PRIu64 ", stream %u, offset %" PRIu64
        ", rounds %d, scaling %d, mask_use %d",
        dtype_name(p->dtype), a->batch, a->heads, a->kv_heads, a->queries, a->keys, a->dim,
        a->v_dim, a->causal, a->bias != NULL, p->cfg.p, p->cfg.seed, p->cfg.stream, p->cfg.offset,
        p->cfg.rounds, p->cfg.scaling, p->cfg.mask_use);
}

/* Makes both calls. The backward call reads out and lse of the forward call. */
static void run(struct worker *w, const struct plan *p, const bitdrop_config *cfg,
                struct region *to)
{
    const size_t scratch = bitdrop_attention_scratch_bytes(cfg, p->dtype, &p->a);
    const bool stored = cfg->mask_use == BITDROP_MASK_STORED;

    for (int i = 0; i < REGIONS; i++)
        region_set(&to[i], p->bytes[i],
                   i == MASK && to == w->got  ? check_below(&w->c, 64)
                   : i != LSE && to == w->got ? draw_gap(&w->c, p->dtype)
                                              : 0,
                   NULL);
    region_set(&w->scratch, scratch, 0, NULL);
    expect_ok(w, bitdrop_attention_forward(cfg, p->dtype, &p->a, p->q, p->k, p->v, to[OUT].at,
                                           to[LSE].at, stored ? to[MASK].at : NULL, w->scratch.at));
    expect_ok(w, bitdrop_attention_backward(cfg, p->dtype, &p->a, p->dout, p->q, p->k, p->v,
                                            to[OUT].at, to[LSE].at, to[DQ].at, to[DK].at, to[DV].at,
                                            stored ? to[MASK].at : NULL, w->scratch.at));
}

/* Compares the mask in got[] with that of bitdrop_mask_2d. */
static void expect_mask(struct worker *w, const struct plan *p)
{
    const bitdrop_attention *a = &p->a;
    const bitdrop_2d scores = {.rows = a->batch * a->heads * a->queries, .cols = a->keys};
    bitdrop_config cfg = p->cfg;
    const bitdrop_isa isa = w->isa;

    answer(w, OP_mask, BITDROP_ISA_SCALAR, &cfg);
    region_set(&w->wanted[MASK], p->bytes[MASK], 0, NULL);
    expect_ok(w, bitdrop_mask_2d(&cfg, &scores, w->wanted[MASK].at));
    w->isa = isa;
    expect_same(w, MASK, "the mask", NULL);
}

void attention_run(struct worker *w)
{
    static const char *const names[] = {"out", "lse", "dq", "dk", "dv"};
    struct plan p;

    draw_plan(w, &p);
    for (int i = 0; i < BITDROP_ISA_COUNT; i++) {
        const bitdrop_isa isa = (bitdrop_isa)i;
        bitdrop_config cfg = p.cfg;

        if (!bitdrop_isa_supported(isa))
            continue;
        answer(w, KIND_ATTENTION, isa, &cfg);
        run(w, &p, &cfg, w->wanted);
        cfg = p.cfg;
        vary(w, KIND_ATTENTION, isa, &cfg);
        cfg.mask_use = (uint8_t)check_below(&w->c, 2);
        run(w, &p, &cfg, w->got);
        for (int r = OUT; r < MASK; r++)
            expect_same(w, r, names[r],
                        r == LSE && p.dtype != BITDROP_F64 ? &(bitdrop_dtype){BITDROP_F32}
                                                           : &p.dtype);
        if (cfg.mask_use == BITDROP_MASK_STORED)
            expect_mask(w, &p);
    }
}
