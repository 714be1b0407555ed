/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block of rows whose scores stay in the L2 cache, as the forward and the backward pass use it.
 * No value here depends on the number of tasks.
 */
#ifndef BITDROP_ATTENTION_BLOCK_H
#define BITDROP_ATTENTION_BLOCK_H

#include <string.h>

#include "attention_job.h"
#include "parallel.h"

enum {
    BLOCK_ROWS = 64,             /* the most rows of a block */
    SCORES_BYTES = 1 << 19,      /* most bytes of scores: half of a usual L2 cache */
    CHUNK_KEYS = 512,            /* a chunk of the backward pass has a multiple of this */
    MOST_CHUNKS = 8,             /* few, because each may need a gradient of q of its own */
    PADDING = 64 / sizeof(float) /* columns: so that rows lie in different sets of the L1 cache */
};

static inline size_t round_up(size_t a, size_t to) { return (a + to - 1) / to * to; }
static inline size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

/* Scratch memory, handed out from the lowest address up. */
struct arena {
    unsigned char *base; /* NULL: only count the bytes, and return NULL */
    size_t used;
};

static inline unsigned char *arena_alloc(struct arena *arena, size_t bytes)
{
    unsigned char *at = arena->base == NULL ? NULL : arena->base + arena->used;

    arena->used += round_up(bytes, SCRATCH_ALIGNMENT);
    return at;
}

/* Bytes of a row of n numbers, padded to whole vectors. */
static inline size_t row_bytes(const struct bitdrop_attention_job *job, size_t n)
{
    return round_up(n, job->kernels->lanes) * job->kernels->number;
}

/* How many factors n elements are. */
static inline size_t factors_of(const struct bitdrop_attention_job *job, size_t n)
{
    return ceil_div(n, job->kernels->elements);
}

static inline size_t score_stride(const struct bitdrop_attention_job *job, size_t cols)
{
    return (round_up(cols, larger(WORD_ELEMENTS, job->kernels->panel_cols)) + PADDING) *
           job->kernels->number;
}

/* Rows of a block that has `cols` columns. */
static inline size_t block_rows(const struct bitdrop_attention_job *job, size_t cols)
{
    const size_t fit = SCORES_BYTES / (cols * job->kernels->number);

    return larger(smaller(fit, BLOCK_ROWS), 2);
}

static inline size_t chunk_keys(const struct bitdrop_attention_job *job)
{
    return round_up(ceil_div(job->keys, MOST_CHUNKS), CHUNK_KEYS);
}

static inline size_t panel_bytes(const struct bitdrop_attention_job *job, size_t depth)
{
    return depth * job->kernels->panel_cols * job->kernels->number;
}

static inline unsigned char *head_row(const struct bitdrop_heads *m, size_t sample, size_t head,
                                      size_t row)
{
    return m->at + sample * m->strides[0] + head * m->strides[1] + row * m->strides[2];
}

/* Rows of numbers or factors in memory. */
struct rows {
    const unsigned char *at;
    size_t stride; /* bytes */
};

/*
 * Rows of m as factors. The result points into m if elements are factors, and rows are whole
 * vectors without gaps. Else the rows are converted to `buffer`.
 */
static inline struct rows rows_of(const struct bitdrop_attention_job *job,
                                  const struct bitdrop_heads *m, size_t sample, size_t head,
                                  size_t row, size_t count, size_t cols, unsigned char *buffer)
{
    const unsigned char *from = head_row(m, sample, head, row);
    const size_t stride = row_bytes(job, factors_of(job, cols));
    const bool are_factors = job->size * job->kernels->elements == job->kernels->number;

    if (are_factors && m->strides[2] == stride && stride == cols * job->size)
        return (struct rows){from, stride};
    job->kernels->factors(&(struct bitdrop_copied_rows){buffer, stride, from, m->strides[2],
                                                        .rows = count, .n = cols});
    return (struct rows){buffer, stride};
}

/* The same for products that sum over rows: with pairs, a row has the pairs of two rows of m. */
static inline struct rows paired_rows(const struct bitdrop_attention_job *job,
                                      const struct bitdrop_heads *m, size_t sample, size_t head,
                                      size_t row, size_t count, size_t cols, unsigned char *buffer)
{
    if (job->kernels->pair == NULL)
        return rows_of(job, m, sample, head, row, count, cols, buffer);
    job->kernels->pair(&(struct bitdrop_copied_rows){buffer, row_bytes(job, cols),
                                                     head_row(m, sample, head, row), m->strides[2],
                                                     .rows = count, .n = cols});
    return (struct rows){buffer, row_bytes(job, cols)};
}

static inline size_t paired_bytes(const struct bitdrop_attention_job *job, size_t rows, size_t cols)
{
    return factors_of(job, rows) * row_bytes(job, cols);
}

/* Writes the transpose of `count` rows to panels, so that a product can multiply by it. */
static inline void transpose_rows(const struct bitdrop_attention_job *job,
                                  const struct bitdrop_heads *m, size_t sample, size_t head,
                                  size_t row, size_t count, size_t cols, unsigned char *panels,
                                  unsigned char *buffer)
{
    const size_t most = job->kernels->panel_cols, factors = factors_of(job, cols);

    for (size_t done = 0; done < count; done += most, panels += panel_bytes(job, factors)) {
        const size_t in_panel = smaller(count - done, most);
        const struct rows rows = rows_of(job, m, sample, head, row + done, in_panel, cols, buffer);

        job->kernels->transpose(panels, rows.at, rows.stride, in_panel, factors);
    }
}

/* c = a * b, where transpose_rows made b. */
static inline void product_with_transposed(const struct bitdrop_attention_job *job, size_t rows,
                                           size_t cols, size_t depth, struct rows a,
                                           const unsigned char *b, unsigned char *c, size_t c_row)
{
    const size_t number = job->kernels->number, factors = factors_of(job, depth);

    job->kernels->product(&(struct bitdrop_product){.rows = rows,
                                                    .cols = cols,
                                                    .depth = factors,
                                                    .a = a.at,
                                                    .a_row = a.stride,
                                                    .a_depth = number,
                                                    .b = b,
                                                    .b_depth = job->kernels->panel_cols * number,
                                                    .b_panel = panel_bytes(job, factors),
                                                    .c = c,
                                                    .c_row = c_row});
}

/*
 * c = a * b or, if `transposed` is set, c = (the transpose of a) * b. With `add` it is added to c.
 * b has `cols` columns. Where a factor is a pair, a row of b has the pairs of two rows, as
 * paired_rows makes it, and so has a row of an a that is transposed.
 */
static inline void product_with_rows(const struct bitdrop_attention_job *job, size_t rows,
                                     size_t cols, size_t depth, struct rows a, bool transposed,
                                     struct rows b, unsigned char *c, bool add)
{
    const size_t number = job->kernels->number;

    job->kernels->product(&(struct bitdrop_product){
        .rows = rows,
        .cols = cols,
        .depth = factors_of(job, depth),
        .a = a.at,
        .a_row = transposed ? number : a.stride,
        .a_depth = transposed ? a.stride * job->kernels->elements : number,
        .b = b.at,
        .b_depth = b.stride,
        .b_panel = job->kernels->panel_cols * number,
        .c = c,
        .c_row = row_bytes(job, cols),
        .add = add});
}

/* How many of the `count` columns from `first` on a row sees. */
static inline size_t keys_seen(const struct bitdrop_attention_job *job, size_t row, size_t first,
                               size_t count)
{
    if (!job->causal)
        return count;
    const size_t end = bitdrop_columns_seen(row, job->causal_first, job->keys);
    return end <= first ? 0 : smaller(end - first, count);
}

/* A block of scores of one head: `rows` rows from `row` on, `cols` columns from `col` on. */
struct block {
    size_t sample, head, row, rows, col, cols; /* cols: up to the last that any row sees */
    size_t seen[BLOCK_ROWS];                   /* columns that each row sees */
};

static inline void block_begin(struct block *b, const struct bitdrop_attention_job *job, size_t row,
                               size_t most_rows, size_t col, size_t most_cols)
{
    b->row = row;
    b->rows = smaller(job->queries - row, most_rows);
    b->col = col;
    for (size_t r = 0; r < b->rows; r++)
        b->seen[r] = keys_seen(job, row + r, col, smaller(job->keys - col, most_cols));
    b->cols = b->seen[b->rows - 1];
}

/* The number of the block's first row among the rows of all heads of all samples. */
static inline size_t row_of_all(const struct bitdrop_attention_job *job, const struct block *b)
{
    return (b->sample * job->heads + b->head) * job->queries + b->row;
}

/*
 * Makes the keep bits of a block: in each row, those of `cols` columns from b->col on. Unless `all`
 * is set, the bits of columns that the row does not see are 0.
 */
static inline void make_bits(const struct bitdrop_attention_job *job, const struct block *b,
                             size_t cols, bool all, uint8_t *mask, size_t mask_stride)
{
    struct bitdrop_mask_rows m = {.stream = job->stream,
                                  .pitch = job->pitch,
                                  .rows = b->rows,
                                  .cols = cols,
                                  .mask = mask,
                                  .stride = mask_stride};

    m.first = job->offset + b->sample * job->index_sample + b->head * job->index_head +
              b->row * job->pitch + b->col;
    if (!all && b->seen[0] < cols) { /* causal: each row sees one column more than that before it */
        size_t r = 0;

        while (b->seen[r] == 0)
            r++;
        m.causal = true;
        m.seen = (int64_t)b->seen[r] - (int64_t)r;
    }
    job->mask_rows(&m);
}

/*
 * The keep bits of a block, and in *stride the bytes between its rows. NULL: all are kept. If the
 * call stores a mask, its rows are written here, with the bits of all keys: the mask has bits of
 * keys that a row does not see, too.
 */
static inline const uint8_t *bits_of(const struct bitdrop_attention_job *job, const struct block *b,
                                     uint8_t *buffer, size_t *stride)
{
    if (job->mask != NULL) {
        uint8_t *rows = job->mask + row_of_all(job, b) * job->mask_stride;

        if (job->stream != NULL)
            make_bits(job, b, job->keys, true, rows, job->mask_stride);
        *stride = job->mask_stride;
        return rows + b->col / 8;
    }
    if (job->stream == NULL || b->cols == 0)
        return NULL;
    *stride = ceil_div(b->cols, 8);
    make_bits(job, b, b->cols, false, buffer, *stride);
    return buffer;
}

/* The bias of a block, as numbers. A stride of 0 repeats one row. */
static inline struct rows bias_rows(const struct bitdrop_attention_job *job, const struct block *b,
                                    unsigned char *buffer)
{
    const struct bitdrop_heads *m = &job->bias;
    const unsigned char *from;
    const size_t number = job->kernels->number, count = m->strides[2] == 0 ? 1 : b->rows;
    const size_t stride = count == 1 ? 0 : row_bytes(job, b->cols);

    if (m->at == NULL)
        return (struct rows){NULL, 0};
    from = head_row(m, b->sample, b->head, b->row) + b->col * job->size;
    if (job->size == number)
        return (struct rows){from, m->strides[2]};
    job->kernels->widen(&(struct bitdrop_copied_rows){buffer, stride, from, m->strides[2],
                                                      .rows = count, .n = b->cols});
    return (struct rows){buffer, stride};
}

static inline unsigned char *lse_of(const struct bitdrop_attention_job *job, const struct block *b)
{
    return job->lse == NULL ? NULL : job->lse + row_of_all(job, b) * job->kernels->number;
}

/* Scratch memory of a block, for both passes. */
struct block_scratch {
    unsigned char *scores, *bias; /* bias: NULL if none must be converted */
    uint8_t *bits;
    size_t stride; /* bytes, of scores */
};

static inline void lay_out_block(struct block_scratch *r, struct arena *arena,
                                 const struct bitdrop_attention_job *job, size_t rows, size_t cols)
{
    r->stride = score_stride(job, cols);
    r->scores = arena_alloc(arena, rows * r->stride);
    r->bits = (uint8_t *)arena_alloc(arena, rows * ceil_div(cols, 8));
    r->bias = job->bias.at != NULL && job->size != job->kernels->number
                  ? arena_alloc(arena, rows * row_bytes(job, cols))
                  : NULL;
}

static inline struct bitdrop_score_block score_block(const struct bitdrop_attention_job *job,
                                                     const struct block *b,
                                                     const struct block_scratch *r)
{
    const struct rows bias = bias_rows(job, b, r->bias);
    struct bitdrop_score_block s = {.rows = b->rows,
                                    .cols = b->cols,
                                    .seen = b->seen,
                                    .scores = r->scores,
                                    .stride = r->stride,
                                    .bias = bias.at,
                                    .bias_stride = bias.stride,
                                    .x_scale = job->x_scale,
                                    .y_scale = job->y_scale,
                                    .lse = lse_of(job, b)};

    s.keep = bits_of(job, b, r->bits, &s.keep_stride);
    return s;
}

/* Stores rows of numbers in m as elements. row_scales: a number for each row; NULL: 1. */
static inline void store_rows(const struct bitdrop_attention_job *job,
                              const struct bitdrop_heads *m, size_t sample, size_t head, size_t row,
                              size_t rows, size_t cols, const unsigned char *from,
                              const unsigned char *row_scales)
{
    job->kernels->narrow(&(struct bitdrop_copied_rows){head_row(m, sample, head, row),
                                                       m->strides[2], from, row_bytes(job, cols),
                                                       rows, cols, row_scales});
}

static inline void run_tasks(struct bitdrop_attention_job *job,
                             void (*task)(void *argument, size_t index))
{
    if (job->tasks > 1)
        job->parallel->run(job->parallel->context, job->tasks, task, job);
    else
        task(job, 0);
}

#endif
