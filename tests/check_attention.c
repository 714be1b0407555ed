/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares attention with attention.c, in guarded memory: random sizes, strides, grouped heads,
 * biases and causal rows, with stored and with remade masks. The library must write the same bytes
 * when a call is cut into tasks, uses the other kind of mask, or has a part of the heads.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention.h"
#include "call.h"
#include "check.h"
#include "oracle.h"
#include "tensor.h"

enum { MOST_NUMBERS = 60000, MOST_SCORES = 120000 };

enum { Q, K, V, BIAS, DOUT, OUT, DQ, DK, DV, TENSORS };
static const char *const names[TENSORS] = {"q", "k", "v", "bias", "dout", "out", "dq", "dk", "dv"};

struct trial {
    struct check *c;
    bitdrop_config cfg;
    bitdrop_dtype dtype;
    size_t bytes;
    bitdrop_attention a;
    struct tensor t[TENSORS];
    struct guard lse_guard, mask_guard;
    unsigned char *lse;
    struct attention_result lse_wanted;
    double *lse_number;
    uint8_t *mask;
    size_t mask_bytes, rows;
};

/* Random elements. Some elements of the bias are -infinity, which hides a score, and very few are
 * +infinity or NaN. */
static void fill(struct trial *r, int which)
{
    struct tensor *t = &r->t[which];

    for (size_t i = 0; i < tensor_numbers(t); i++) {
        double x = 2 * check_unit(r->c);

        if (which == BIAS && check_below(r->c, 6) == 0)
            x = -INFINITY;
        if (which == BIAS && check_below(r->c, 3000) == 0)
            x = check_below(r->c, 2) ? INFINITY : NAN;
        tensor_put(t, i, x);
    }
    tensor_settle(t);
}

static size_t random_size(struct check *c, size_t most)
{
    return check_below(c, 4) ? 1 + check_below(c, 40) : 1 + check_below(c, most);
}

/*
 * More keys than one chunk of the backward pass has, sometimes more than 4,096, from which on
 * chunks are longer. There are enough scores for tasks that share a head.
 */
static void choose_long_sizes(struct trial *r)
{
    struct check *c = r->c;
    const bool longest = check_below(c, 4) == 0;

    r->a = (bitdrop_attention){.batch = 1, .heads = 1 + check_below(c, 2), .kv_heads = 1};
    r->a.keys = longest ? 4097 + check_below(c, 300) : 513 + check_below(c, 1000);
    r->a.queries = (longest ? 250000 : 70000) / (r->a.heads * r->a.keys) + check_below(c, 9);
    r->a.dim = 1 + check_below(c, longest ? 4 : 9);
    r->a.v_dim = 1 + check_below(c, longest ? 4 : 9);
}

/* One in three is a multiple of 16, so that rows are whole vectors on each ISA. */
static size_t random_dim(struct check *c)
{
    return check_below(c, 3) == 0 ? (size_t)16 << check_below(c, 4) : random_size(c, 130);
}

static void choose_sizes(struct trial *r)
{
    bitdrop_attention *a = &r->a;
    struct check *c = r->c;

    if (check_below(c, 6) == 0) {
        choose_long_sizes(r);
        return;
    }
    do {
        *a = (bitdrop_attention){.batch = 1 + check_below(c, 2), .kv_heads = 1 + check_below(c, 3)};
        a->heads = a->kv_heads * (1 + check_below(c, 3));
        a->queries = random_size(c, 300);
        a->keys = random_size(c, 300);
        a->dim = random_dim(c);
        a->v_dim = check_below(c, 2) ? a->dim : random_dim(c);
    } while (a->batch * a->heads * a->queries * a->keys > MOST_SCORES ||
             a->batch * a->heads * (a->queries + a->keys) * (a->dim + a->v_dim) > MOST_NUMBERS);
}

static void choose(struct trial *r)
{
    static const double scales[] = {0, 0.125, -0.3, 1};
    bitdrop_attention *a = &r->a;
    struct check *c = r->c;

    r->cfg = check_random_config(c);
    r->cfg.p = check_below(c, 3) ? (double)check_below(c, 10) / 10 : r->cfg.p;
    r->cfg.offset >>= 1;
    r->cfg.mask_use = (uint8_t)check_below(c, 2);
    r->dtype = (bitdrop_dtype)check_below(c, BITDROP_DTYPE_COUNT);
    r->bytes = dtype_bytes(r->dtype);
    choose_sizes(r);
    a->scale = scales[check_below(c, 4)];
    a->causal = (uint32_t)check_below(c, 2);
    if (a->causal)
        a->causal_first = check_below(c, 2) ? (int64_t)a->keys - (int64_t)a->queries
                                            : (int64_t)check_below(c, a->keys + 60) - 60;
    a->index_heads = a->heads + check_below(c, 2);
    a->index_queries = a->queries + check_below(c, 3);
    a->index_keys = a->keys + (check_below(c, 2) ? 0 : check_below(c, 500));
    r->rows = a->batch * a->heads * a->queries;
    r->mask_bytes = r->rows * ((a->keys + 7) / 8);
}

static void make_tensors(struct trial *r)
{
    bitdrop_attention *a = &r->a;

    const size_t of_q[3] = {a->batch, a->heads, a->queries};
    const size_t of_k[3] = {a->batch, a->kv_heads, a->keys};
    struct tensor *t = r->t;

    t[Q] = tensor_new(r->c, r->dtype, of_q, a->dim, NULL);
    t[K] = tensor_new(r->c, r->dtype, of_k, a->dim, NULL);
    t[V] = tensor_new(r->c, r->dtype, of_k, a->v_dim, NULL);
    t[BIAS] = tensor_new(r->c, r->dtype, of_q, a->keys, NULL);
    t[DOUT] = tensor_new(r->c, r->dtype, of_q, a->v_dim, NULL);
    t[OUT] = tensor_new(r->c, r->dtype, of_q, a->v_dim, t[DOUT].strides);
    t[DQ] = tensor_new(r->c, r->dtype, of_q, a->dim, t[Q].strides);
    t[DK] = tensor_new(r->c, r->dtype, of_k, a->dim, t[K].strides);
    t[DV] = tensor_new(r->c, r->dtype, of_k, a->v_dim, t[V].strides);
    for (int i = Q; i <= DOUT; i++)
        fill(r, i);
    memcpy(a->q_strides, r->t[Q].strides, sizeof a->q_strides);
    memcpy(a->k_strides, r->t[K].strides, sizeof a->k_strides);
    memcpy(a->v_strides, r->t[V].strides, sizeof a->v_strides);
    memcpy(a->out_strides, r->t[OUT].strides, sizeof a->out_strides);
    if (check_below(r->c, 2)) {
        a->bias = r->t[BIAS].at;
        memcpy(a->bias_strides, r->t[BIAS].strides, sizeof a->bias_strides);
    }
    r->lse_guard = guard_new(r->rows * 8);
    r->lse = guard_back(&r->lse_guard, r->rows * (r->bytes == 8 ? 8 : 4), 0);
    r->lse_number = tensor_allocate(r->rows * sizeof(double));
    r->lse_wanted.number = tensor_allocate(r->rows * sizeof(double));
    r->lse_wanted.error = tensor_allocate(r->rows * sizeof(double));
    r->mask_guard = guard_new(r->mask_bytes);
    r->mask = guard_back(&r->mask_guard, r->mask_bytes, 0);
}

static void free_tensors(struct trial *r)
{
    for (int i = 0; i < TENSORS; i++)
        tensor_free(&r->t[i]);
    guard_free(&r->lse_guard);
    free(r->lse_number);
    free(r->lse_wanted.number);
    free(r->lse_wanted.error);
    guard_free(&r->mask_guard);
}

static void fail(const struct trial *r, const char *what)
{
    const bitdrop_attention *a = &r->a;

    check_fail(r->c,
               "attention, dtype %d: %s; batch %zu heads %zu/%zu queries %zu keys %zu dim %zu/%zu "
               "scale %g bias %d causal %" PRIu32 " %" PRId64 " p %a offset %" PRIu64
               " mask_use %d",
               r->dtype, what, a->batch, a->heads, a->kv_heads, a->queries, a->keys, a->dim,
               a->v_dim, a->scale, a->bias != NULL, a->causal, a->causal_first, r->cfg.p,
               r->cfg.offset, r->cfg.mask_use);
}

/* Where a call writes its results: the tensors of the trial, or copies. */
struct results {
    unsigned char *out, *lse, *dq, *dk, *dv;
    uint8_t *mask;
};

static struct results results_of(const struct trial *r)
{
    return (struct results){r->t[OUT].at, r->lse, r->t[DQ].at, r->t[DK].at, r->t[DV].at, r->mask};
}

/* Calls forward and backward. Scratch memory ends at an unmapped page, and is filled with NaNs
 * before each call. */
static void call_both(struct trial *r, const bitdrop_config *cfg, const struct results *to)
{
    const bitdrop_attention *a = &r->a;
    uint8_t *mask = cfg->mask_use == BITDROP_MASK_STORED ? to->mask : NULL;
    const size_t bytes = bitdrop_attention_scratch_bytes(cfg, r->dtype, a);
    bitdrop_status status;

    if (bytes == 0) {
        fail(r, "scratch_bytes is 0");
        return;
    }
    struct guard guard = guard_new(bytes);
    void *scratch = guard_back(&guard, bytes, 0);
    memset(scratch, 0xFF, bytes);
    status = bitdrop_attention_forward(cfg, r->dtype, a, r->t[Q].at, r->t[K].at, r->t[V].at,
                                       to->out, to->lse, mask, scratch);
    if (status != BITDROP_OK)
        fail(r, bitdrop_status_string(status));
    memset(scratch, 0xFF, bytes);
    status = bitdrop_attention_backward(cfg, r->dtype, a, r->t[DOUT].at, r->t[Q].at, r->t[K].at,
                                        r->t[V].at, to->out, to->lse, to->dq, to->dk, to->dv, mask,
                                        scratch);
    if (status != BITDROP_OK)
        fail(r, bitdrop_status_string(status));
    guard_free(&guard);
}

static void expect_mask(struct trial *r, const uint8_t *mask)
{
    const bitdrop_attention *a = &r->a;
    const size_t stride = (a->keys + 7) / 8;

    for (size_t row = 0; row < r->rows; row++) {
        const size_t i = row % a->queries, h = row / a->queries % a->heads;
        const size_t b = row / a->queries / a->heads;
        const uint64_t first = ((b * a->index_heads + h) * a->index_queries + i) * a->index_keys;

        for (size_t j = 0; j < 8 * stride; j++) {
            const bool bit = mask[row * stride + j / 8] >> (j % 8) & 1;

            if (bit != (j < a->keys && oracle_keep(&r->cfg, r->cfg.offset + first + j))) {
                fail(r, "a mask bit is wrong");
                return;
            }
        }
    }
}

/* The relative error of rounding to the dtype, and the unit of attention_case. */
static double rounding(bitdrop_dtype t)
{
    return t == BITDROP_F64   ? 0x1p-52
           : t == BITDROP_F32 ? 0x1p-23
           : t == BITDROP_F16 ? 0x1p-10
                              : 0x1p-7;
}

static double unit_of(const struct trial *r) { return r->dtype == BITDROP_F64 ? 0x1p-50 : 0x1p-21; }

static void expect_numbers(struct trial *r, const char *name, const double *got,
                           const double *wanted, const double *error, size_t n, double round)
{
    char what[200];

    for (size_t i = 0; i < n; i++) {
        const double least = r->dtype == BITDROP_F16 ? 0x1p-24 : 0x1p-120;
        const bool same = got[i] == wanted[i] || (got[i] != got[i] && wanted[i] != wanted[i]) ||
                          fabs(got[i] - wanted[i]) <= error[i] + round * fabs(wanted[i]) + least;

        if (!same) {
            snprintf(what, sizeof what, "%s %zu of %zu is %.9g, not %.9g +- %.1e", name, i, n,
                     got[i], wanted[i], error[i] + round * fabs(wanted[i]));
            fail(r, what);
            return;
        }
    }
    r->c->cases++;
}

static void expect_values(struct trial *r)
{
    const struct attention_case reference = {
        .cfg = &r->cfg,
        .a = &r->a,
        .in = {r->t[Q].number, r->t[K].number, r->t[V].number, r->t[DOUT].number, NULL,
               r->lse_number, r->a.bias == NULL ? NULL : r->t[BIAS].number},
        .unit = unit_of(r),
        .rounding = r->dtype == BITDROP_BF16 ? 0x1p-8 : 0}; /* AVX512_BF16 needs bf16 factors */
    struct attention_case backward = reference;
    struct attention_result want[TENSORS];
    double *got[TENSORS];

    for (int i = OUT; i < TENSORS; i++) {
        want[i] = (struct attention_result){r->t[i].number, r->t[i].error};
        got[i] = tensor_allocate(tensor_numbers(&r->t[i]) * sizeof(double));
        if (!tensor_read(&r->t[i], got[i]))
            fail(r, "a call wrote between the rows");
    }
    for (size_t i = 0; i < r->rows; i++)
        r->lse_number[i] = oracle_number(r->dtype == BITDROP_F64 ? BITDROP_F64 : BITDROP_F32,
                                         r->lse + i * (r->dtype == BITDROP_F64 ? 8 : 4));
    attention_forward(&reference, &want[OUT], &r->lse_wanted);
    backward.in.out = got[OUT];
    attention_backward(&backward, &want[DQ], &want[DK], &want[DV]);
    expect_numbers(r, "lse", r->lse_number, r->lse_wanted.number, r->lse_wanted.error, r->rows, 0);
    for (int i = OUT; i < TENSORS; i++) {
        expect_numbers(r, names[i], got[i], want[i].number, want[i].error, tensor_numbers(&r->t[i]),
                       rounding(r->dtype));
        free(got[i]);
    }
}

/* Copies of the results, in buffers with the same gaps. */
struct copies {
    struct results to;
    unsigned char *buffer[TENSORS];
};

static struct copies copies_new(const struct trial *r)
{
    struct copies c = {.to = results_of(r)};
    unsigned char **const at[TENSORS] = {
        [OUT] = &c.to.out, [DQ] = &c.to.dq, [DK] = &c.to.dk, [DV] = &c.to.dv};

    for (int i = OUT; i < TENSORS; i++) {
        const struct guard *g = &r->t[i].guard;

        c.buffer[i] = tensor_allocate(g->size);
        memset(c.buffer[i], 0xA5, g->size);
        *at[i] = c.buffer[i] + (r->t[i].at - g->base);
    }
    c.to.lse = tensor_allocate(r->rows * 8);
    c.to.mask = tensor_allocate(r->mask_bytes);
    return c;
}

static void copies_compare_and_free(struct trial *r, struct copies *c, const char *what)
{
    bool same = memcmp(c->to.lse, r->lse, r->rows * (r->dtype == BITDROP_F64 ? 8 : 4)) == 0;

    for (int i = OUT; i < TENSORS; i++) {
        same &= memcmp(c->buffer[i], r->t[i].guard.base, r->t[i].guard.size) == 0;
        free(c->buffer[i]);
    }
    if (!same)
        fail(r, what);
    free(c->to.lse);
    free(c->to.mask);
    r->c->cases++;
}

static void expect_same_in_tasks(struct trial *r)
{
    const bitdrop_parallel parallel = {.run = check_run_backwards,
                                       .tasks = 2 + check_below(r->c, 6)};
    bitdrop_config cfg = r->cfg;
    struct copies c = copies_new(r);

    cfg.parallel = &parallel;
    cfg.mask_use = !r->cfg.mask_use;
    call_both(r, &cfg, &c.to);
    if (cfg.mask_use == BITDROP_MASK_STORED)
        expect_mask(r, c.to.mask);
    copies_compare_and_free(r, &c, "a call in tasks with the other kind of mask differs");
}

/* Makes a separate call on the last sample, with the heads from `first` on. */
static void expect_same_in_parts(struct trial *r)
{
    const bitdrop_attention whole = r->a;
    const size_t group = whole.heads / whole.kv_heads, kv_first = check_below(r->c, whole.kv_heads);
    const size_t first = kv_first * group, sample = whole.batch - 1;
    struct copies c = copies_new(r);
    struct tensor kept[TENSORS];
    bitdrop_config cfg = r->cfg;
    const size_t lse_bytes = r->dtype == BITDROP_F64 ? 8 : 4;
    const size_t row = (sample * whole.heads + first) * whole.queries;

    memcpy(kept, r->t, sizeof kept);
    for (int i = OUT; i < TENSORS; i++)
        memcpy(c.buffer[i], r->t[i].guard.base, r->t[i].guard.size);
    memcpy(c.to.lse, r->lse, r->rows * lse_bytes);
    r->a.batch = 1;
    r->a.heads -= first;
    r->a.kv_heads -= kv_first;
    for (int i = 0; i < TENSORS; i++) {
        const bool of_kv = i == K || i == V || i == DK || i == DV;

        r->t[i].at +=
            (sample * r->t[i].strides[0] + (of_kv ? kv_first : first) * r->t[i].strides[1]) *
            r->bytes;
    }
    if (whole.bias != NULL)
        r->a.bias = r->t[BIAS].at;
    cfg.offset += (sample * whole.index_heads + first) * whole.index_queries * whole.index_keys;
    cfg.mask_use = BITDROP_MASK_REMADE;
    const struct results part = {
        c.to.out + (r->t[OUT].at - kept[OUT].at), c.to.lse + row * lse_bytes,
        c.to.dq + (r->t[DQ].at - kept[DQ].at),    c.to.dk + (r->t[DK].at - kept[DK].at),
        c.to.dv + (r->t[DV].at - kept[DV].at),    NULL};
    call_both(r, &cfg, &part);
    memcpy(r->t, kept, sizeof kept);
    r->a = whole;
    copies_compare_and_free(r, &c, "a call on a part of the heads differs");
}

static void check_one(struct trial *r)
{
    const struct results results = results_of(r);

    call_both(r, &r->cfg, &results);
    if (r->cfg.mask_use == BITDROP_MASK_STORED)
        expect_mask(r, r->mask);
    expect_values(r);
    expect_same_in_tasks(r);
    expect_same_in_parts(r);
    for (int i = Q; i <= DOUT; i++)
        if (guard_difference(&r->t[i].guard) != NULL)
            fail(r, names[i]); /* an input changed */
}

void check_attention(struct check *c)
{
    for (size_t i = 0; i < 120 / c->thin + 4; i++) {
        struct trial r = {.c = c};

        choose(&r);
        make_tensors(&r);
        check_one(&r);
        free_tensors(&r);
    }
}
