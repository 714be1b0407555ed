/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forward pass of attention. It makes the scores of a block, turns them into probabilities and
 * multiplies these by v. The next block overwrites them. A unit is a head, or a part of one: part i
 * of n has blocks i, i + n, i + 2 n and so on. A task has successive units.
 */
#include "exact.h"

#include "attention_block.h"

struct forward {
    const struct bitdrop_attention_job *job;
    struct block_scratch block;
    unsigned char *k, *v, *q, *row_buffer, *out, *row_scales;
    size_t rows; /* of a block */
};

static size_t lay_out_forward(struct forward *f, const struct bitdrop_attention_job *job,
                              unsigned char *base)
{
    struct arena arena = {base, 0};

    f->job = job;
    f->rows = block_rows(job, job->keys);
    lay_out_block(&f->block, &arena, job, f->rows, job->keys);
    f->k = arena_alloc(&arena, ceil_div(job->keys, job->kernels->panel_cols) *
                                   panel_bytes(job, factors_of(job, job->dim)));
    f->v = arena_alloc(&arena, paired_bytes(job, job->keys, job->v_dim));
    f->q = arena_alloc(&arena, f->rows * row_bytes(job, job->dim));
    f->row_buffer = arena_alloc(&arena, job->kernels->panel_cols * row_bytes(job, job->dim));
    f->out = arena_alloc(&arena, f->rows * row_bytes(job, job->v_dim));
    f->row_scales = arena_alloc(&arena, f->rows * job->kernels->number);
    return arena.used;
}

static void forward_block(const struct forward *f, const struct block *b, struct rows v)
{
    const struct bitdrop_attention_job *job = f->job;
    struct bitdrop_score_block s = score_block(job, b, &f->block);

    s.row_scales = f->row_scales;
    if (b->cols > 0) {
        const struct rows q =
            rows_of(job, &job->q, b->sample, b->head, b->row, b->rows, job->dim, f->q);

        product_with_transposed(job, b->rows, b->cols, job->dim, q, f->k, s.scores, s.stride);
    }
    job->kernels->forward_rows(&s);
    if (b->cols > 0)
        product_with_rows(job, b->rows, job->v_dim, b->cols, (struct rows){s.scores, s.stride},
                          false, v, f->out, false);
    else
        memset(f->out, 0, b->rows * row_bytes(job, job->v_dim));
    store_rows(job, &job->out, b->sample, b->head, b->row, b->rows, job->v_dim, f->out,
               f->row_scales);
}

/*
 * Part `part` of a head: blocks part, part + parts, part + 2 parts and so on. So in causal heads
 * each part has short and long rows. `head` counts the heads of all samples.
 */
static void forward_part(const struct forward *f, size_t head, size_t part, size_t parts)
{
    const struct bitdrop_attention_job *job = f->job;
    struct block b = {.sample = head / job->heads, .head = head % job->heads};
    const size_t kv_head = b.head / job->group;
    const size_t last = keys_seen(job, job->queries - 1, 0, job->keys);
    struct rows v = {NULL, 0};

    if (last > 0) {
        transpose_rows(job, &job->k, b.sample, kv_head, 0, last, job->dim, f->k, f->row_buffer);
        v = paired_rows(job, &job->v, b.sample, kv_head, 0, last, job->v_dim, f->v);
    }
    for (size_t row = part * f->rows; row < job->queries; row += parts * f->rows) {
        block_begin(&b, job, row, f->rows, 0, job->keys);
        forward_block(f, &b, v);
    }
}

static size_t common_divisor(size_t a, size_t b)
{
    while (b != 0) {
        const size_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* How many parts each head is cut into. All tasks then have nearly the same number of parts. */
static size_t forward_parts(const struct bitdrop_attention_job *job)
{
    enum { MANY_HEADS = 8 }; /* of a task. One more makes little difference, so none is cut */
    const size_t heads = job->batch * job->heads;

    if (job->tasks <= 1 || heads / job->tasks >= MANY_HEADS)
        return 1;
    return smaller(job->tasks / common_divisor(job->tasks, heads),
                   ceil_div(job->queries, block_rows(job, job->keys)));
}

static void forward_task(void *argument, size_t index)
{
    const struct bitdrop_attention_job *job = argument;
    const size_t parts = forward_parts(job), units = job->batch * job->heads * parts;
    struct forward f;
    const size_t bytes = lay_out_forward(&f, job, NULL);

    lay_out_forward(&f, job, job->scratch + index * bytes);
    for (size_t u = bitdrop_first_unit(units, job->tasks, index),
                end = bitdrop_first_unit(units, job->tasks, index + 1);
         u < end; u++)
        forward_part(&f, u / parts, u % parts, parts);
}

void bitdrop_attention_run_forward(struct bitdrop_attention_job *job)
{
    run_tasks(job, forward_task);
}

size_t bitdrop_attention_forward_units(const struct bitdrop_attention_job *job)
{
    return job->batch * job->heads * ceil_div(job->queries, block_rows(job, job->keys));
}

size_t bitdrop_attention_forward_scratch(const struct bitdrop_attention_job *job)
{
    struct forward f;
    size_t bytes;

    return __builtin_mul_overflow(lay_out_forward(&f, job, NULL), job->tasks, &bytes) ? 0 : bytes;
}
