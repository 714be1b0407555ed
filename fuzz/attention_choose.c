/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses a call of attention, and the places of its buffers. */
#include "attention_call.h"

#include "tests/call.h"

enum { MOST_NUMBERS = 20000 };

static void fill_strides(size_t strides[3], size_t heads, size_t rows, size_t cols)
{
    if (strides[0] != 0 || strides[1] != 0 || strides[2] != 0)
        return;
    strides[2] = cols;
    strides[1] = rows * cols;
    strides[0] = heads * rows * cols;
}

static bitdrop_attention filled(const bitdrop_attention *given)
{
    bitdrop_attention a = *given;

    if (a.kv_heads == 0)
        a.kv_heads = a.heads;
    if (a.v_dim == 0)
        a.v_dim = a.dim;
    if (a.index_heads == 0)
        a.index_heads = a.heads;
    if (a.index_queries == 0)
        a.index_queries = a.queries;
    if (a.index_keys == 0)
        a.index_keys = a.keys;
    fill_strides(a.q_strides, a.heads, a.queries, a.dim);
    fill_strides(a.k_strides, a.kv_heads, a.keys, a.dim);
    fill_strides(a.v_strides, a.kv_heads, a.keys, a.v_dim);
    fill_strides(a.out_strides, a.heads, a.queries, a.v_dim);
    return a;
}

static size_t choose_size(struct fuzz_input *in)
{
    return 1 + fuzz_below(in, fuzz_once_in(in, 8) ? 300 : 24);
}

/* Dense, or samples, heads and rows in some order with gaps. Now and then a stride is 0. */
static void choose_strides(struct fuzz_input *in, size_t strides[3], const size_t count[3],
                           size_t cols)
{
    static const int orders[3][3] = {{2, 1, 0}, {1, 2, 0}, {1, 0, 2}};
    const size_t kind = fuzz_below(in, 6);
    const int *order = orders[kind % 3];
    size_t stride = cols + fuzz_below(in, 4);

    if (kind < 3)
        return;
    for (int i = 0; i < 3; i++) {
        strides[order[i]] = stride;
        stride = stride * count[order[i]] + fuzz_below(in, 4);
    }
    if (fuzz_once_in(in, 8))
        strides[fuzz_below(in, 2)] = 0;
}

static void choose_sizes(struct fuzz_input *in, bitdrop_attention *a)
{
    a->batch = 1 + fuzz_below(in, 2);
    a->kv_heads = 1 + fuzz_below(in, 3);
    a->heads = a->kv_heads * (1 + fuzz_below(in, 3));
    a->queries = choose_size(in);
    a->keys = choose_size(in);
    if (fuzz_once_in(in, 32))
        a->keys += 512 + fuzz_below(in, 4000);
    a->dim = choose_size(in);
    a->v_dim = fuzz_once_in(in, 2) ? choose_size(in) : a->dim;
    if (a->batch * a->heads * a->queries * a->keys > MOST_SCORES ||
        a->batch * a->heads * (a->queries + a->keys) * (a->dim + a->v_dim) > MOST_NUMBERS)
        *a = (bitdrop_attention){
            .batch = 1, .heads = 1, .kv_heads = 1, .queries = 9, .keys = a->keys, .dim = 2};
}

static void choose_attention(struct fuzz_input *in, bitdrop_attention *a)
{
    static const double scales[] = {0, 0.125, -0.3, 1};

    choose_sizes(in, a);
    const size_t v_dim = a->v_dim == 0 ? a->dim : a->v_dim;
    const size_t of_q[3] = {a->batch, a->heads, a->queries};
    const size_t of_k[3] = {a->batch, a->kv_heads, a->keys};

    choose_strides(in, a->q_strides, of_q, a->dim);
    choose_strides(in, a->k_strides, of_k, a->dim);
    choose_strides(in, a->v_strides, of_k, v_dim);
    choose_strides(in, a->out_strides, of_q, v_dim);
    choose_strides(in, a->bias_strides, of_q, a->keys);
    a->scale = scales[fuzz_below(in, 4)];
    a->causal = (uint32_t)fuzz_below(in, 2);
    if (a->causal)
        a->causal_first = (int64_t)fuzz_below(in, a->keys + a->queries) - (int64_t)a->queries;
    a->index_heads = fuzz_once_in(in, 4) ? a->heads + fuzz_below(in, 4) : 0;
    a->index_queries = fuzz_once_in(in, 4) ? a->queries + fuzz_below(in, 4) : 0;
    a->index_keys = fuzz_once_in(in, 4) ? a->keys + fuzz_below(in, 4) : 0;
}

static void choose_fault(struct fuzz_input *in, struct attention *t)
{
    t->no_bounds = true;
    switch (fuzz_below(in, 8)) {
    case 0:
    case 1:
        fuzz_change_config(in, &t->cfg);
        break;
    case 2:
        t->dtype = (bitdrop_dtype)fuzz_number(in);
        break;
    case 3:
        *(fuzz_once_in(in, 2) ? &t->no_cfg : &t->no_a) = true;
        break;
    default:
        fuzz_change(in, &t->a, sizeof t->a);
    }
}

static uint64_t indices_of(const bitdrop_attention *a)
{
    return (((a->batch - 1) * a->index_heads + a->heads - 1) * a->index_queries + a->queries - 1) *
               a->index_keys +
           a->keys;
}

static void choose_call(struct fuzz_input *in, struct attention *t)
{
    const bitdrop_parallel *parallel = fuzz_parallel(in, &t->parallel);

    t->dtype = (bitdrop_dtype)fuzz_below(in, BITDROP_DTYPE_COUNT);
    t->backward = fuzz_once_in(in, 2);
    choose_attention(in, &t->a);
    t->filled = filled(&t->a);
    t->cfg = fuzz_config(in, indices_of(&t->filled));
    t->cfg.mask_use = (uint8_t)fuzz_below(in, 2);
    for (size_t faults = fuzz_once_in(in, 3) ? 1 + fuzz_below(in, 2) : 0; faults > 0; faults--)
        choose_fault(in, t);
    t->cfg.parallel = parallel;
    t->a.bias = NULL;
    t->every_isa = t->cfg.isa == BITDROP_ISA_AUTO;
    t->filled = filled(&t->a);
    t->size = (size_t)t->dtype < BITDROP_DTYPE_COUNT ? dtype_bytes(t->dtype) : 1;
}

static void describe_tensor(struct attention *t, int i, const size_t count[3],
                            const size_t strides[3], size_t cols)
{
    struct fuzz_buffer *b = &t->b[i];

    *b = fuzz_matrix(count[2], cols, strides[2], t->size);
    b->count[0] = count[0];
    b->count[1] = count[1];
    b->stride[0] = fuzz_matrix(1, 1, strides[0], t->size).stride[2];
    b->stride[1] = fuzz_matrix(1, 1, strides[1], t->size).stride[2];
}

static size_t scratch_bytes(const struct attention *t)
{
    return bitdrop_attention_scratch_bytes(&t->cfg, t->dtype, &t->a);
}

/* The size of the scratch memory, or if the call runs on every ISA, the largest of all. */
static size_t most_scratch(const struct attention *t)
{
    struct attention copy = *t;
    size_t most = scratch_bytes(t);

    for (unsigned isa = 0; isa < BITDROP_ISA_COUNT && t->every_isa; isa++) {
        copy.cfg.isa = (uint8_t)isa;
        most = scratch_bytes(&copy) > most ? scratch_bytes(&copy) : most;
    }
    return most;
}

static void describe_buffers(struct attention *t)
{
    const bitdrop_attention *a = &t->filled;
    const size_t of_q[3] = {a->batch, a->heads, a->queries};
    const size_t of_k[3] = {a->batch, a->kv_heads, a->keys};
    size_t rows;

    if (__builtin_mul_overflow(a->batch, a->heads, &rows) ||
        __builtin_mul_overflow(rows, a->queries, &rows))
        rows = SIZE_MAX;
    t->b[SCRATCH] = fuzz_matrix(1, most_scratch(t), 0, 1);
    describe_tensor(t, Q, of_q, a->q_strides, a->dim);
    describe_tensor(t, K, of_k, a->k_strides, a->dim);
    describe_tensor(t, V, of_k, a->v_strides, a->v_dim);
    describe_tensor(t, BIAS, of_q, a->bias_strides, a->keys);
    describe_tensor(t, DOUT, of_q, a->out_strides, a->v_dim);
    describe_tensor(t, OUT, of_q, a->out_strides, a->v_dim);
    describe_tensor(t, DQ, of_q, a->q_strides, a->dim);
    describe_tensor(t, DK, of_k, a->k_strides, a->dim);
    describe_tensor(t, DV, of_k, a->v_strides, a->v_dim);
    t->b[LSE] = fuzz_matrix(1, rows, 0, t->dtype == BITDROP_F64 ? 8 : 4);
    t->b[MASK] = fuzz_matrix(rows, bitdrop_mask_bytes(a->keys), bitdrop_mask_bytes(a->keys), 1);
    t->b[MASK].used = stores_mask(t);
    t->b[DOUT].used = t->b[DQ].used = t->b[DK].used = t->b[DV].used = t->backward;
    t->b[SCRATCH].written = t->b[DQ].written = t->b[DK].written = t->b[DV].written = true;
    t->b[OUT].written = t->b[LSE].written = t->b[MASK].written = !t->backward;
}

static void place(struct fuzz_input *in, struct attention *t)
{
    const bool no_mask = !fuzz_once_in(in, 64);

    describe_buffers(t);
    t->b[SCRATCH].alignment = fuzz_once_in(in, 32) ? 8 : 64;
    memory_place(in, t->b, BUFFERS);
    if (!t->b[MASK].used && no_mask)
        t->b[MASK].at = NULL;
    if (fuzz_once_in(in, 2))
        t->b[BIAS].at = NULL;
    t->a.bias = t->b[BIAS].at;
}

void attention_choose(struct fuzz_input *in, struct attention *t)
{
    choose_call(in, t);
    place(in, t);
}
