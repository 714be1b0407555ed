/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pieces: elements whose keep bits follow one another. They are a part of one row, or many rows of
 * whole strips, or rows with no gaps in memory, which count as one row. The whole strips of a piece
 * wait in a struct work. The elements before and after them are applied at once: less than a vector
 * before them, and less than a strip after them. This is one text for all bodies and dtypes. It
 * calls them by work->apply, work->partial and work->rows.
 *
 * Needs no vec.h.
 */
#ifndef BITDROP_TEMPLATE_PIECES_H
#define BITDROP_TEMPLATE_PIECES_H

#include "template/bits.h"
#include "template/work.h"

/* Buffers for the bits and marks of the current piece, and where the marks belong. */
struct scratch {
    uint8_t shifted[TILE_BYTES];        /* keep bits that began within a byte, moved to its start */
    uint8_t marks[TILE_BYTES];          /* of whole strips */
    uint32_t lead_marks, tail_marks;    /* of the elements before the strips, and after them */
    size_t row, col, lead, whole, tail; /* elements; lead + whole + tail = 0: no marks to store */
    size_t rows;                        /* rows of the piece, each of `whole` elements */
};

/* Leaves the buffers as they are. */
static inline void scratch_init(struct scratch *s)
{
    s->lead_marks = s->tail_marks = 0;
    s->lead = s->whole = s->tail = 0;
}

/* Stores the marks of the current piece. All of its strips were applied. */
static void store_marks(struct scratch *s, const struct bitdrop_job *job)
{
    uint8_t *marks = job->marks + s->row * job->mask_stride;

    bits_append_partial(marks, s->col, s->lead_marks, s->lead);
    for (size_t row = 0; row < s->rows; row++)
        bits_append(marks + row * job->mask_stride, s->col + s->lead, s->marks, row * s->whole,
                    s->whole);
    bits_append_partial(marks, s->col + s->lead + s->whole, s->tail_marks, s->tail);
    s->lead = s->whole = s->tail = 0;
}

static inline void finish_piece(struct work *work)
{
    const struct scratch *s = work->scratch;

    if (work->job->marks != NULL && s->lead + s->whole + s->tail > 0)
        store_marks(work->scratch, work->job);
}

/*
 * How many elements lie in front of the first aligned vector of the output. 0 if stores do not
 * stream.
 */
static inline size_t lead_of(const struct work *work, const unsigned char *out, size_t count)
{
    const size_t lead =
        work->how & WORK_STREAMING ? -(uintptr_t)out % work->vector_bytes / work->job->size : 0;

    return lead < count ? lead : count;
}

static inline void note_marks(struct scratch *s, size_t row, size_t col, size_t lead, size_t whole,
                              size_t tail, size_t rows)
{
    s->row = row;
    s->col = col;
    s->lead = lead;
    s->whole = whole;
    s->tail = tail;
    s->rows = rows;
}

/* Lets `strips` strips wait that begin at (row, col). Their bits begin with bit `first` of keep. */
static inline void begin_strips(struct work *work, size_t row, size_t col, size_t strips,
                                const uint8_t *keep, size_t first)
{
    const struct bitdrop_job *job = work->job;

    for (int i = 0; i < BITDROP_MAX_INPUTS && job->in[i].at != NULL; i++)
        work->in[i] = operand_at(&job->in[i], row, col);
    work->out = job->out.at + row * job->out.row_bytes + col * job->size;
    work->marks = work->scratch->marks;
    work->strips = strips;
    work->row_strips_left = 0; /* wraps when counted down, so the strips end before it is 0 */
    work->bits = bits_at_byte(keep, first, strips * WORD_ELEMENTS, work->scratch->shifted);
}

/*
 * Begins a piece of `count` elements from (row, col) on. Its bits begin with bit `first` of keep.
 * No strips may wait.
 */
static void piece_begin(struct work *work, size_t row, size_t col, size_t count,
                        const uint8_t *keep, size_t first)
{
    const struct bitdrop_job *job = work->job;
    struct scratch *s = work->scratch;
    const unsigned char *out = job->out.at + row * job->out.row_bytes + col * job->size;
    const size_t lead = lead_of(work, out, count), tail = (count - lead) % WORD_ELEMENTS;
    const size_t whole = count - lead - tail;

    if (lead > 0)
        s->lead_marks = work->partial(work, row, col, lead, bits_word(keep, first, lead));
    if (tail > 0)
        s->tail_marks = work->partial(work, row, col + lead + whole, tail,
                                      bits_word(keep, first + lead + whole, tail));
    if (job->marks != NULL)
        note_marks(s, row, col, lead, whole, tail, 1);
    begin_strips(work, row, col + lead, whole / WORD_ELEMENTS, keep, first + lead);
}

/* Whether the next rows of the batch can be one piece. */
static inline bool has_many_rows(const struct work *work)
{
    const struct bitdrop_job *job = work->job;

    return work->many_rows && work->col == 0 && work->left >= 2 * job->cols;
}

/* Begins a piece of all whole rows that are left in the batch. */
static void piece_begin_rows(struct work *work)
{
    const struct bitdrop_job *job = work->job;
    const size_t row = work->row, first = work->first, rows = work->left / job->cols;

    work->left -= rows * job->cols;
    work->first += rows * job->cols;
    work->row += rows;
    for (int i = 0; i < BITDROP_MAX_INPUTS; i++)
        work->in_gap[i] = (ptrdiff_t)(job->in[i].row_bytes - job->cols * job->in[i].col_bytes);
    work->out_gap = (ptrdiff_t)(job->out.row_bytes - job->cols * job->size);
    work->strips_of_row = job->cols / WORD_ELEMENTS;
    if (job->marks != NULL)
        note_marks(work->scratch, row, 0, 0, job->cols, 0, rows);
    begin_strips(work, row, 0, rows * (job->cols / WORD_ELEMENTS), work->keep, first);
    work->row_strips_left = work->strips_of_row;
}

/* Begins the next piece of the batch. No strips may wait. Returns false if the batch is empty. */
NOINLINE bool piece_next(struct work *work)
{
    const size_t row = work->row, col = work->col, first = work->first;
    const uint8_t *const keep = work->keep;
    const size_t in_row = work->job->cols - col;
    const size_t count = work->left < in_row ? work->left : in_row;

    finish_piece(work);
    if (count == 0)
        return false;
    if (has_many_rows(work)) {
        piece_begin_rows(work);
        return true;
    }
    work_advance(work, count);
    piece_begin(work, row, col, count, keep, first);
    return true;
}

/*
 * Applies up to `count` waiting strips. work->rows applies as many elements, and also the rest of
 * the row in which it ends.
 */
static void apply_waiting(struct work *work, size_t count)
{
    if (work->rows != NULL) {
        work->rows(work,
                   count < work->left / WORD_ELEMENTS ? work->left - count * WORD_ELEMENTS : 0);
        return;
    }
    for (;;) {
        const size_t now = count < work->strips ? count : work->strips;

        if (now > 0)
            work->apply(work, now);
        count -= now;
        if (count == 0 || !piece_next(work))
            return;
    }
}

/* Begins a piece and applies all of it. No strips may wait. */
static void apply_piece(struct work *work, size_t row, size_t col, size_t count,
                        const uint8_t *keep, size_t first)
{
    piece_begin(work, row, col, count, keep, first);
    if (work->strips > 0)
        work->apply(work, work->strips);
    finish_piece(work);
}

static inline void apply_all(struct work *work) { apply_waiting(work, SIZE_MAX); }

#endif
