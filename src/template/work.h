/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects the code that makes keep bits with the code that applies them. Philox waits for the
 * multiplier, and applying waits for memory. So while the bits of one batch are made, the batch
 * before it is applied (run_generated in job.h). The generator calls hooks between its steps
 * without knowing what they do. Both hooks are compile-time constants after inlining.
 *
 *   step   after every STEP_ROUNDS rounds of Philox
 *   pause  after each early plane, and after each late_first and late_next
 *
 * Needs no vec.h.
 */
#ifndef BITDROP_TEMPLATE_WORK_H
#define BITDROP_TEMPLATE_WORK_H

#include "kernels.h"

#define FORCE_INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))

enum { CACHE_LINE = 64 }; /* bytes */

/* Prefetches `bytes` bytes from `at` on, which may lie beyond any object. */
FORCE_INLINE void prefetch_lines(uintptr_t at, size_t bytes)
{
    for (size_t b = 0; b < bytes; b += CACHE_LINE)
        __builtin_prefetch((const void *)(at + b));
}

struct work;

enum work_flags {
    WORK_STREAMING = 1,
    WORK_SECOND_INPUT = 2, /* the second input is not -0 everywhere: it must be loaded */
    WORK_PREFETCH_INPUTS = 4,
    WORK_PREFETCH_OUTPUT = 8,
    WORK_PAGES_IN_TURN = 16
};

/* Applies the next `count` strips. work->strips must not be less. Each body and dtype has one. */
typedef void apply_strips(struct work *work, size_t count);

/*
 * Applies n < WORD_ELEMENTS elements from (row, col) on, and touches no memory beyond them. Their
 * keep bits are the lowest n of `keep`; those above are 0. Returns their marks.
 */
typedef uint32_t apply_partial(const struct work *work, size_t row, size_t col, size_t n,
                               uint32_t keep);

/*
 * Applies rows of the batch, each to its end, until no more than `goal` of its elements are left.
 * Stores their part of the mask, if there is one to store.
 */
typedef void apply_batch_rows(struct work *work, size_t goal);

/*
 * Elements that wait to be applied: whole strips of one piece, and then the rest of a batch, which
 * are elements of successive rows. Their keep bits lie in one tile, or in other memory.
 */
struct work {
    /*
     * The strips: where they begin in memory. They may lie in many rows. No two fields that change
     * with every strip are neighbours, because clang would keep both in one vector register and
     * extract them for each strip.
     */
    const unsigned char *in[BITDROP_MAX_INPUTS];
    ptrdiff_t out_gap; /* bytes from the end of a row to the next row */
    unsigned char *out;
    ptrdiff_t in_gap[BITDROP_MAX_INPUTS]; /* likewise; < 0: back to a bias that all rows share */
    const uint8_t *bits;                  /* begin at a byte */
    size_t bits_gap;   /* bits between those of two rows, modulo 2^n: rows may share their bits */
    uint8_t *marks;    /* of these strips, if the body makes any */
    size_t third_step; /* bytes to the next strip of the third input; 0: all elements are equal */
    size_t strips;
    size_t strips_of_row;   /* in each row */
    size_t row_strips_left; /* in the current row */

    /* Copies from the job, because compilers know that stores to out cannot change them. */
    unsigned how;            /* enum work_flags: in one word, because few registers are left */
    unsigned prefetch_ahead; /* bytes. Like the parameters, only set by work_copy */
    double f64_parameter[BITDROP_MAX_PARAMETERS];
    float f32_parameter[BITDROP_MAX_PARAMETERS];

    /* The rest of the batch: `left` elements from (row, col) on. Their bits begin at `first`. */
    size_t row, col, left;
    const uint8_t *keep;
    size_t first;

    const struct bitdrop_job *job;
    apply_strips *apply;
    apply_partial *partial;
    apply_batch_rows *rows; /* NULL: the batch is applied in pieces */
    size_t vector_bytes;    /* alignment of streaming stores */
    bool many_rows;         /* a piece may have many rows */
    size_t burst;           /* strips to apply in a pause */
    struct scratch *scratch;
    struct work *original; /* in a copy: what it was copied from */
};

/* Copies where the strips begin, and where the next ones lie. */
FORCE_INLINE void work_copy_place(struct work *copy, const struct work *work)
{
    copy->in[0] = work->in[0];
    copy->in[1] = work->in[1];
    copy->in[2] = work->in[2];
    copy->third_step = work->third_step;
    copy->out = work->out;
    copy->row_strips_left = work->row_strips_left;
    copy->strips_of_row = work->strips_of_row;
    copy->in_gap[0] = work->in_gap[0];
    copy->in_gap[1] = work->in_gap[1];
    copy->in_gap[2] = work->in_gap[2];
    copy->out_gap = work->out_gap;
}

/*
 * Makes a copy for a loop over strips, without the rest of the batch except its size. If no other
 * code has its address, compilers keep its members in registers and the parameters in vectors.
 * Members are copied one by one: a wider load would wait for the narrower stores that it spans.
 */
FORCE_INLINE void work_copy(struct work *copy, const struct work *work)
{
    work_copy_place(copy, work);
    copy->bits = work->bits;
    copy->marks = work->marks;
    copy->strips = work->strips;
    copy->how = work->how;
    copy->prefetch_ahead = work->job->prefetch.ahead;
    copy->left = work->left;
    copy->f64_parameter[0] = work->job->f64_parameter[0];
    copy->f64_parameter[1] = work->job->f64_parameter[1];
    copy->f64_parameter[2] = work->job->f64_parameter[2];
    copy->f32_parameter[0] = work->job->f32_parameter[0];
    copy->f32_parameter[1] = work->job->f32_parameter[1];
    copy->f32_parameter[2] = work->job->f32_parameter[2];
}

/* Copies the rest of the batch, to a copy for a loop over rows or back from it. */
FORCE_INLINE void work_copy_batch(struct work *copy, const struct work *work)
{
    copy->row = work->row;
    copy->col = work->col;
    copy->left = work->left;
    copy->keep = work->keep;
    copy->first = work->first;
    copy->bits_gap = work->bits_gap;
    copy->job = work->job;
}

/* Copies back what a loop over strips changes in its copy. */
FORCE_INLINE void work_return(struct work *work, const struct work *copy)
{
    work->in[0] = copy->in[0];
    work->in[1] = copy->in[1];
    work->in[2] = copy->in[2];
    work->out = copy->out;
    work->bits = copy->bits;
    work->marks = copy->marks;
    work->strips = copy->strips;
    work->row_strips_left = copy->row_strips_left;
}

static inline const unsigned char *operand_at(const struct bitdrop_operand *o, size_t row,
                                              size_t col)
{
    return o->at + row * o->row_bytes + col * o->col_bytes;
}

/* Moves the batch past its next `count` elements, which lie in one row. */
static inline void work_advance(struct work *work, size_t count)
{
    work->left -= count;
    work->first += count;
    work->col += count;
    if (work->col == work->job->cols) {
        work->row++;
        work->col = 0;
        work->first += work->bits_gap;
        work->keep += work->first / 8; /* else `first` could overflow if bits_gap is large */
        work->first %= 8;
    }
}

typedef void work_hook(struct work *work);

FORCE_INLINE void no_hook(struct work *work) { (void)work; }

#endif
