/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backward pass of attention. It makes the probabilities again from the log-sum-exp of each row
 * (Dao et al., "FlashAttention", NeurIPS 2022). It goes through the keys in chunks, one after the
 * other. A unit is all keys of one head of k and v, or one chunk of them if there are few heads.
 * The gradient of q is a sum over the chunks, in ascending order. If chunks are units, each writes
 * its gradient of q to a buffer of its own, and a second round of tasks adds these.
 */
#include "exact.h"

#include "attention_block.h"

struct backward {
    const struct bitdrop_attention_job *job;
    struct block_scratch block;
    unsigned char *grads, *grad_rows, *q, *dout, *out, *dots;
    unsigned char *paired_q, *paired_dout;
    unsigned char *k_transposed, *v_transposed, *k, *row_buffer, *dk, *dv;
    unsigned char *dq; /* of all queries and all heads of a group; NULL: job->chunk_grads has it */
    size_t rows, keys; /* of a block */
};

static size_t chunks(const struct bitdrop_attention_job *job)
{
    return ceil_div(job->keys, chunk_keys(job));
}

static bool chunks_are_units(const struct bitdrop_attention_job *job)
{
    return chunks(job) > 1 && job->batch * (job->heads / job->group) < 2 * job->tasks;
}

static size_t grad_bytes(const struct bitdrop_attention_job *job)
{
    return job->queries * row_bytes(job, job->dim);
}

static size_t lay_out_backward(struct backward *w, const struct bitdrop_attention_job *job,
                               unsigned char *base)
{
    struct arena arena = {base, 0};

    w->job = job;
    w->keys = smaller(chunk_keys(job), job->keys);
    w->rows = block_rows(job, w->keys);
    const size_t dim = row_bytes(job, job->dim), v_dim = row_bytes(job, job->v_dim);
    const size_t panels = ceil_div(w->keys, job->kernels->panel_cols);
    const bool pairs = job->kernels->pair != NULL;
    lay_out_block(&w->block, &arena, job, w->rows, w->keys);
    w->grads = arena_alloc(&arena, w->rows * w->block.stride);
    w->grad_rows = pairs ? arena_alloc(&arena, w->rows * w->block.stride / 2) : w->grads;
    w->paired_q = pairs ? arena_alloc(&arena, paired_bytes(job, w->rows, job->dim)) : NULL;
    w->paired_dout = pairs ? arena_alloc(&arena, paired_bytes(job, w->rows, job->v_dim)) : NULL;
    w->q = arena_alloc(&arena, w->rows * dim);
    w->dout = arena_alloc(&arena, w->rows * v_dim);
    w->out = arena_alloc(&arena, w->rows * v_dim);
    w->dots = arena_alloc(&arena, w->rows * job->kernels->number);
    w->k_transposed = arena_alloc(&arena, panels * panel_bytes(job, factors_of(job, job->dim)));
    w->v_transposed = arena_alloc(&arena, panels * panel_bytes(job, factors_of(job, job->v_dim)));
    w->k = arena_alloc(&arena, paired_bytes(job, w->keys, job->dim));
    w->row_buffer = arena_alloc(&arena, job->kernels->panel_cols * larger(dim, v_dim));
    w->dk = arena_alloc(&arena, w->keys * dim);
    w->dv = arena_alloc(&arena, w->keys * v_dim);
    w->dq = chunks_are_units(job) ? NULL : arena_alloc(&arena, job->group * grad_bytes(job));
    return arena.used;
}

/* If chunks are units: what a chunk adds to the gradient of q of a head. */
static unsigned char *chunk_grad(const struct bitdrop_attention_job *job, size_t sample,
                                 size_t head, size_t chunk)
{
    return job->chunk_grads +
           ((sample * job->heads + head) * chunks(job) + chunk) * grad_bytes(job);
}

/*
 * w->dots = the dot products of the rows of dout and out. They are computed again for each chunk.
 * dout and out have the same strides, so rows_of returns the same stride for both.
 */
static void row_dots(const struct backward *w, const struct block *b, struct rows dout)
{
    const struct bitdrop_attention_job *job = w->job;
    const struct rows out =
        rows_of(job, &job->out, b->sample, b->head, b->row, b->rows, job->v_dim, w->out);

    job->kernels->dots(w->dots, dout.at, out.at, out.stride, b->rows, factors_of(job, job->v_dim));
}

/* The rows of a block of q or dout for products that sum over rows. `rows` has them as factors. */
static struct rows paired_block(const struct backward *w, const struct block *b,
                                const struct bitdrop_heads *m, size_t cols, struct rows rows,
                                unsigned char *buffer)
{
    if (w->job->kernels->pair == NULL)
        return rows;
    return paired_rows(w->job, m, b->sample, b->head, b->row, b->rows, cols, buffer);
}

/* Adds what a block contributes to w->dk and w->dv. dq = the gradient of its rows, or dq += it. */
static void backward_block(const struct backward *w, const struct block *b, struct rows k,
                           unsigned char *dq, bool add)
{
    const struct bitdrop_attention_job *job = w->job;
    const struct rows q =
        rows_of(job, &job->q, b->sample, b->head, b->row, b->rows, job->dim, w->q);
    const struct rows dout =
        rows_of(job, &job->dout, b->sample, b->head, b->row, b->rows, job->v_dim, w->dout);
    const struct rows paired_q = paired_block(w, b, &job->q, job->dim, q, w->paired_q);
    const struct rows paired_dout =
        paired_block(w, b, &job->dout, job->v_dim, dout, w->paired_dout);
    struct bitdrop_score_block s = score_block(job, b, &w->block);

    row_dots(w, b, dout);
    s.grads = w->grads;
    s.grad_rows = w->grad_rows;
    s.grad_stride = job->kernels->pair == NULL ? s.stride : s.stride / 2;
    s.dots = w->dots;
    product_with_transposed(job, b->rows, b->cols, job->dim, q, w->k_transposed, s.scores,
                            s.stride);
    product_with_transposed(job, b->rows, b->cols, job->v_dim, dout, w->v_transposed, s.grads,
                            s.stride);
    job->kernels->backward_rows(&s);
    const struct rows probs = {s.scores, s.stride}, grads = {s.grads, s.stride};
    const struct rows grad_rows = {s.grad_rows, s.grad_stride};
    product_with_rows(job, b->cols, job->v_dim, b->rows, probs, true, paired_dout, w->dv, true);
    product_with_rows(job, b->cols, job->dim, b->rows, grads, true, paired_q, w->dk, true);
    product_with_rows(job, b->rows, job->dim, b->cols, grad_rows, false, k, dq, add);
}

static void backward_chunk(const struct backward *w, size_t sample, size_t kv_head, size_t chunk)
{
    const struct bitdrop_attention_job *job = w->job;
    const size_t col = chunk * w->keys, count = smaller(job->keys - col, w->keys);
    const size_t dim = row_bytes(job, job->dim), v_dim = row_bytes(job, job->v_dim);

    transpose_rows(job, &job->k, sample, kv_head, col, count, job->dim, w->k_transposed,
                   w->row_buffer);
    transpose_rows(job, &job->v, sample, kv_head, col, count, job->v_dim, w->v_transposed,
                   w->row_buffer);
    const struct rows k = paired_rows(job, &job->k, sample, kv_head, col, count, job->dim, w->k);
    memset(w->dk, 0, count * dim);
    memset(w->dv, 0, count * v_dim);
    for (size_t i = 0; i < job->group; i++) {
        struct block b = {.sample = sample, .head = kv_head * job->group + i};
        unsigned char *dq =
            w->dq != NULL ? w->dq + i * grad_bytes(job) : chunk_grad(job, sample, b.head, chunk);

        for (size_t row = 0; row < job->queries; row += w->rows) {
            block_begin(&b, job, row, w->rows, col, w->keys);
            if (b.cols > 0)
                backward_block(w, &b, k, dq + row * dim, w->dq != NULL && chunk > 0);
            else if (chunk == 0)
                memset(dq + row * dim, 0, b.rows * dim);
        }
    }
    store_rows(job, &job->dk, sample, kv_head, col, count, job->dim, w->dk, NULL);
    store_rows(job, &job->dv, sample, kv_head, col, count, job->v_dim, w->dv, NULL);
}

static void store_dq(const struct bitdrop_attention_job *job, size_t sample, size_t head,
                     size_t row, size_t rows, const unsigned char *from)
{
    store_rows(job, &job->dq, sample, head, row, rows, job->dim, from, NULL);
}

/* All chunks of one head of k and v, one after the other. */
static void backward_head(const struct backward *w, size_t sample, size_t kv_head)
{
    const struct bitdrop_attention_job *job = w->job;

    for (size_t chunk = 0; chunk < chunks(job); chunk++)
        backward_chunk(w, sample, kv_head, chunk);
    for (size_t i = 0; i < job->group; i++)
        store_dq(job, sample, kv_head * job->group + i, 0, job->queries,
                 w->dq + i * grad_bytes(job));
}

static void backward_task(void *argument, size_t index)
{
    const struct bitdrop_attention_job *job = argument;
    const size_t kv_heads = job->heads / job->group;
    const size_t parts = chunks_are_units(job) ? chunks(job) : 1;
    const size_t units = job->batch * kv_heads * parts;
    struct backward w;
    const size_t bytes = lay_out_backward(&w, job, NULL);

    lay_out_backward(&w, job, job->scratch + index * bytes);
    for (size_t u = bitdrop_first_unit(units, job->tasks, index),
                end = bitdrop_first_unit(units, job->tasks, index + 1);
         u < end; u++) {
        const size_t head = u / parts;

        if (parts > 1)
            backward_chunk(&w, head / kv_heads, head % kv_heads, u % parts);
        else
            backward_head(&w, head / kv_heads, head % kv_heads);
    }
}

/* Adds the gradients of q that the chunks made for the rows of a block, in ascending order. */
static void add_chunks(const struct bitdrop_attention_job *job, struct block *b, size_t most_rows)
{
    const size_t dim = row_bytes(job, job->dim), keys = chunk_keys(job);
    unsigned char *sum = chunk_grad(job, b->sample, b->head, 0) + b->row * dim;
    const size_t rows = smaller(job->queries - b->row, most_rows), row = b->row;

    for (size_t chunk = 1; chunk < chunks(job); chunk++) {
        block_begin(b, job, row, most_rows, chunk * keys, keys);
        if (b->cols > 0)
            job->kernels->add(sum, chunk_grad(job, b->sample, b->head, chunk) + row * dim,
                              rows * (dim / job->kernels->number));
    }
    store_dq(job, b->sample, b->head, row, rows, sum);
}

static void add_task(void *argument, size_t index)
{
    const struct bitdrop_attention_job *job = argument;
    const size_t most_rows = block_rows(job, chunk_keys(job));
    const size_t blocks = ceil_div(job->queries, most_rows);
    const size_t units = job->batch * job->heads * blocks;

    for (size_t u = bitdrop_first_unit(units, job->tasks, index),
                end = bitdrop_first_unit(units, job->tasks, index + 1);
         u < end; u++) {
        const size_t head = u / blocks;
        struct block b = {
            .sample = head / job->heads, .head = head % job->heads, .row = u % blocks * most_rows};

        add_chunks(job, &b, most_rows);
    }
}

void bitdrop_attention_run_backward(struct bitdrop_attention_job *job)
{
    struct backward w;

    job->chunk_grads = job->scratch + job->tasks * lay_out_backward(&w, job, NULL);
    run_tasks(job, backward_task);
    if (chunks_are_units(job))
        run_tasks(job, add_task);
}

size_t bitdrop_attention_backward_units(const struct bitdrop_attention_job *job)
{
    return job->batch * (job->heads / job->group) * chunks(job);
}

size_t bitdrop_attention_backward_scratch(const struct bitdrop_attention_job *job)
{
    const size_t grads = job->batch * job->heads * chunks(job) * grad_bytes(job);
    struct backward w;
    size_t bytes;

    if (__builtin_mul_overflow(lay_out_backward(&w, job, NULL), job->tasks, &bytes) ||
        __builtin_add_overflow(bytes, chunks_are_units(job) ? grads : 0, &bytes))
        return 0;
    return bytes;
}
