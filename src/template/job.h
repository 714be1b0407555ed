/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops over a job. There are four, by where the keep bits come from: run_generated,
 * run_shared, run_given and run_rows. Each is compiled once for an ISA.
 *
 * Include the vec.h of an ISA first. It defines INTERLEAVED_PLANES: with fewer planes most strips
 * would not be applied between rounds of Philox, and the shared generator is faster.
 */
#ifndef BITDROP_TEMPLATE_JOB_H
#define BITDROP_TEMPLATE_JOB_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include "template/generators.h"

/* The functions of one body for one dtype. */
struct body {
    apply_strips *apply;
    apply_partial *partial;
    apply_batch_rows *rows;           /* NULL: there is none */
    make_segments_function *segments; /* the generator: makes tiles and meanwhile applies strips */
    size_t most_cols;                 /* the longest rows for which `rows` is used */
    size_t vector_bytes;
    bool many_rows; /* a piece may have many rows: apply goes from row to row */
};

/*
 * Rows of at most MOST_COLS columns are applied by body->rows, which costs less a row than pieces
 * do, but does not prefetch. Bodies in two phases use it up to MOST_COLS_TWO_PHASES columns,
 * because it computes both phases of a vector at once. A body with an interleaved generator makes
 * pieces of rows of more than MOST_COLS_INTERLEAVED columns, because that generator is faster
 * there, and cannot call body->rows.
 */
enum { MOST_COLS = 2048, MOST_COLS_TWO_PHASES = 64, MOST_COLS_INTERLEAVED = 384 };

/*
 * Up to this many unneeded bits between two rows it is faster to make them too than to make the
 * bits of each row alone.
 */
enum { MOST_GAP = SEGMENT_BYTES * 8 / 4 };

/* Whether rows are whole strips, and their generated bits contiguous. */
static bool rows_are_strips(const struct bitdrop_job *job, const struct body *body)
{
    return job->cols % WORD_ELEMENTS == 0 && job->pitch == job->cols && job->offset % 8 == 0 &&
           (!job->streaming ||
            (((uintptr_t)job->out.at | job->out.row_bytes) % body->vector_bytes == 0));
}

/*
 * Sets member by member. Clearing the whole structure would take much of the time of a small call.
 */
static void work_init(struct work *work, const struct bitdrop_job *job, const struct body *body,
                      struct scratch *scratch)
{
    work->strips = 0;
    work->left = 0;
    work->row = work->col = work->first = 0;
    work->third_step = WORD_ELEMENTS * job->in[2].col_bytes;
    work->in_gap[0] = work->in_gap[1] = work->in_gap[2] = work->out_gap = 0;
    work->strips_of_row = work->row_strips_left = 0;
    work->bits_gap = 0;
    work->many_rows = body->many_rows && rows_are_strips(job, body);
    work->rows = job->streaming || job->cols > body->most_cols ? NULL : body->rows;
    work->how = (job->streaming ? WORK_STREAMING : 0U) |
                (job->prefetch.inputs ? WORK_PREFETCH_INPUTS : 0U) |
                (job->prefetch.output ? WORK_PREFETCH_OUTPUT : 0U) |
                (job->prefetch.pages_in_turn ? WORK_PAGES_IN_TURN : 0U) |
                (job->in[1].col_bytes != 0 ? WORK_SECOND_INPUT : 0U);
    work->job = job;
    work->apply = body->apply;
    work->partial = body->partial;
    work->vector_bytes = body->vector_bytes;
    work->scratch = scratch;
    scratch_init(scratch);
}

/* Stores the bits of `count` elements from (row, col) on, which may reach over many rows. */
static void store_mask(const struct bitdrop_job *job, size_t row, size_t col, size_t count,
                       const uint8_t *keep, size_t first)
{
    while (count > 0) {
        const size_t in_row = smaller(count, job->cols - col);

        bits_append(job->mask + row * job->mask_stride, col, keep, first, in_row);
        first += in_row + (size_t)(job->pitch - job->cols);
        count -= in_row;
        row++;
        col = 0;
    }
}

/* How many elements of successive rows, and how many bits from the first to the last of them. */
struct batch {
    size_t count, bits;
};

/*
 * The elements from (row, col) on whose bits are among the next `available` ones. They are a part
 * of one row, or parts of many rows if few bits lie between rows.
 */
static struct batch batch_of(const struct bitdrop_job *job, size_t row, size_t col,
                             size_t available)
{
    const size_t left = job->cols - col;
    const uint64_t gap = job->pitch - job->cols;

    if (left >= available || row + 1 == job->rows || gap > MOST_GAP)
        return (struct batch){smaller(left, available), smaller(left, available)};
    const size_t pitch = (size_t)job->pitch, more = job->rows - row - 1;
    const size_t rows = smaller(more, (available - left) / pitch),
                 rest = available - left - rows * pitch;
    struct batch batch = {left + rows * job->cols, left + rows * pitch};

    if (rows < more && rest > gap) {
        batch.count += rest - (size_t)gap;
        batch.bits += rest;
    }
    return batch;
}

static inline void advance(const struct bitdrop_job *job, size_t *row, size_t *col, size_t count)
{
    const size_t left = job->cols - *col;

    if (count < left) {
        *col += count;
        return;
    }
    *row += 1;
    *col = 0;
    if (count > left) { /* divides only where there is more than one row */
        *row += (count - left) / job->cols;
        *col = (count - left) % job->cols;
    }
}

/*
 * Bits are made, and each element has its own. While the bits of one batch are made, the batch
 * before is applied.
 */
static void run_generated(struct work *work, struct tile *tile, make_segments_function *segments)
{
    const struct bitdrop_job *job = work->job;
    size_t row = 0, col = 0;

    if (work->many_rows ||
        (segments != make_segments_shared && job->rows > 1 && job->cols > MOST_COLS_INTERLEAVED))
        work->rows = NULL;
    if (work->rows != NULL || job->stream->planes < INTERLEAVED_PLANES)
        segments = make_segments_shared;
    work->bits_gap = job->pitch - job->cols <= MOST_GAP ? (size_t)(job->pitch - job->cols) : 0;
    while (row < job->rows) {
        const uint64_t e = job->offset + row * job->pitch + col;
        const size_t first = e % TILE_ELEMENTS;
        const struct batch batch = batch_of(job, row, col, TILE_ELEMENTS - first);
        const uint8_t *keep = tile_get(tile, job->stream, e / TILE_ELEMENTS, first,
                                       first + batch.bits, segments, work);

        if (job->mask != NULL && work->rows == NULL) /* work->rows stores it itself */
            store_mask(job, row, col, batch.count, keep, first);
        apply_all(work);
        work->row = row;
        work->col = col;
        work->left = batch.count;
        work->keep = keep;
        work->first = first;
        if (work->rows == NULL)
            piece_next(work); /* so that strips wait while the next tile is made */
        advance(job, &row, &col, batch.count);
    }
    apply_all(work);
}

/* Rows that share their decisions: rows `first` to end - 1, which are group `index`. */
struct group {
    size_t index, first, end;
};

static inline bool next_group(const struct bitdrop_job *job, struct group *g)
{
    const bool is_first = g->end == 0;
    const size_t rows = job->repeat - (is_first ? job->phase : 0);

    g->index += !is_first;
    g->first = g->end;
    g->end += smaller(rows, job->rows - g->first);
    return g->first < job->rows;
}

/* Applies whole rows by work->rows. The bits of the first row begin with bit `first` of keep. */
static void apply_whole_rows(struct work *work, size_t row, size_t rows, const uint8_t *keep,
                             size_t first, size_t bits_gap)
{
    work->row = row;
    work->col = 0;
    work->left = rows * work->job->cols;
    work->keep = keep;
    work->first = first;
    work->bits_gap = bits_gap;
    work->rows(work, 0);
}

/* Applies `count` columns of all rows of a group. */
static void apply_group(struct work *work, const struct group *g, size_t col, size_t count,
                        const uint8_t *keep, size_t first)
{
    if (work->rows != NULL && count == work->job->cols) {
        apply_whole_rows(work, g->first, g->end - g->first, keep, first, -count);
        return;
    }
    for (size_t row = g->first; row < g->end; row++)
        apply_piece(work, row, col, count, keep, first);
}

/*
 * Bits are made, and the rows of a group share them. Each tile of a group is made once and applied
 * to all of its rows.
 */
static void run_shared(struct work *work, struct tile *tile)
{
    const struct bitdrop_job *job = work->job;

    for (struct group g = {0, 0, 0}; next_group(job, &g);) {
        uint64_t e = job->offset + g.index * job->pitch;

        for (size_t col = 0, count; col < job->cols; col += count, e += count) {
            const size_t first = e % TILE_ELEMENTS;

            count = smaller(job->cols - col, TILE_ELEMENTS - first);
            apply_group(work, &g, col, count,
                        tile_get(tile, job->stream, e / TILE_ELEMENTS, first, first + count,
                                 make_segments_shared, work),
                        first);
        }
    }
}

/* Bits are given, and rows of a group share them. */
static void run_given(struct work *work)
{
    const struct bitdrop_job *job = work->job;

    if (work->rows != NULL && job->repeat == 1 && job->mask_stride <= SIZE_MAX / 8) {
        apply_whole_rows(work, 0, job->rows, job->keep, 0, 8 * job->mask_stride - job->cols);
        return;
    }
    /* The buffers of a piece hold the marks, and the shifted bits, of one tile. */
    const size_t most = job->marks != NULL || job->streaming ? TILE_ELEMENTS : job->cols;

    for (struct group g = {0, 0, 0}; next_group(job, &g);)
        for (size_t col = 0; col < job->cols; col += most)
            apply_group(work, &g, col, smaller(job->cols - col, most),
                        job->keep + g.index * job->mask_stride, col);
}

/* For rows that are kept or dropped as a whole. */
struct equal_rows {
    uint8_t constant[2][TILE_BYTES]; /* bits of dropped elements, and of kept ones */
    size_t at_once; /* successive rows with one decision that make a piece: 1 if rows have gaps */
    size_t first, end;
    bool kept;
};

static void equal_rows_init(struct equal_rows *rows, const struct bitdrop_job *job)
{
    bool dense = job->marks == NULL && bitdrop_is_dense(&job->out, job->cols);

    for (int i = 0; i < BITDROP_MAX_INPUTS; i++)
        dense &= bitdrop_is_dense(&job->in[i], job->cols);
    rows->at_once = dense && job->cols <= TILE_ELEMENTS / 2 ? TILE_ELEMENTS / job->cols : 1;
    rows->first = rows->end = 0;
    rows->kept = true;
    const size_t bytes = (smaller(rows->at_once * job->cols, TILE_ELEMENTS) + 7) / 8;
    memset(rows->constant[0], 0, bytes);
    memset(rows->constant[1], 0xFF, bytes);
}

static void apply_equal_rows(struct work *work, const struct equal_rows *rows)
{
    const size_t cols = work->job->cols;
    const uint8_t *keep = rows->constant[rows->kept];

    if (work->rows != NULL && rows->at_once == 1) {
        apply_whole_rows(work, rows->first, rows->end - rows->first, keep, 0, -cols);
        return;
    }
    for (size_t row = rows->first, n; row < rows->end; row += n) {
        n = smaller(rows->end - row, rows->at_once);
        for (size_t col = 0, count; col < n * cols; col += count) {
            count = smaller(n * cols - col, TILE_ELEMENTS);
            apply_piece(work, row, col, count, keep, 0);
        }
    }
}

/* Returns keep bits of the tile that has the decision of this group, which is bit *i. */
static const uint8_t *row_bits(struct work *work, struct tile *tile, size_t group, size_t *i)
{
    const struct bitdrop_job *job = work->job;
    const uint64_t e = job->offset + group;

    *i = e % TILE_ELEMENTS;
    return tile_get(tile, job->stream, e / TILE_ELEMENTS, *i,
                    *i + smaller(job->rows, TILE_ELEMENTS - *i), make_segments_shared, work);
}

/* One decision for each group of rows, made or given. All rows are kept if there are neither. */
static void run_rows(struct work *work, struct tile *tile)
{
    const struct bitdrop_job *job = work->job;
    const uint8_t *bits = job->keep;
    size_t i = job->keep_bit;
    struct equal_rows rows;

    equal_rows_init(&rows, job);
    const size_t most = rows.at_once == 1 && work->rows != NULL ? SIZE_MAX : rows.at_once;
    for (struct group g = {0, 0, 0}; next_group(job, &g); i++) {
        bool kept = true;

        if (job->stream != NULL && (g.first == 0 || i == TILE_ELEMENTS))
            bits = row_bits(work, tile, g.index, &i);
        if (bits != NULL)
            kept = bits[i / 8] >> (i % 8) & 1;
        if (kept != rows.kept || rows.end - rows.first >= most) {
            apply_equal_rows(work, &rows);
            rows.first = rows.end;
            rows.kept = kept;
        }
        rows.end = g.end;
    }
    apply_equal_rows(work, &rows);
}

/* Applies a body to a job. */
NOINLINE void run_job(const struct bitdrop_job *job, const struct body *body)
{
    struct tile tile;
    struct scratch scratch;
    struct work work;

    work_init(&work, job, body, &scratch);
    tile_init(&tile);
    if (job->unit == UNIT_ROW || (job->stream == NULL && job->keep == NULL))
        run_rows(&work, &tile);
    else if (job->stream == NULL)
        run_given(&work);
    else if (job->repeat > 1)
        run_shared(&work, &tile);
    else
        run_generated(&work, &tile, body->segments);
    if (job->streaming)
        stream_fence();
}

#endif
