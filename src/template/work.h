/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between making keep bits and applying them. Philox waits for its multiplier, applying
 * waits for memory; so while one tile is made, the strips of the one before are applied. The
 * generator calls hooks between its steps without knowing what they do: `step` after every
 * STEP_ROUNDS rounds of Philox, `pause` after each plane. Both are compile-time constants after
 * inlining.
 */
#ifndef BITDROP_TEMPLATE_WORK_H
#define BITDROP_TEMPLATE_WORK_H

#include "kernels.h"

#define FORCE_INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))

enum { CACHE_LINE = 64 }; /* bytes */

/* `bytes` of memory from `at` on, which may lie beyond any object. */
FORCE_INLINE void prefetch_lines(uintptr_t at, size_t bytes)
{
    for (size_t b = 0; b < bytes; b += CACHE_LINE)
        __builtin_prefetch((const void *)(at + b));
}

struct work;

enum work_flags {
    WORK_STREAMING = 1,
    WORK_SECOND_INPUT = 2, /* is no -0 */
    WORK_PREFETCH_INPUTS = 4,
    WORK_PREFETCH_OUTPUT = 8,
    WORK_PAGES_IN_TURN = 16
};

/* Applies the next `count` strips; there are as many. Of one body and dtype. */
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
 * What waits to be applied: whole strips of one piece, and behind it the rest of a batch, which is
 * elements of successive rows. Their bits lie in one tile, or in memory.
 */
struct work {
    /*
     * The strips: where they begin in memory. They may reach over many rows. No two fields that
     * advance with every strip are neighbours: clang would keep both in one vector, and take it
     * apart for each strip.
     */
    const unsigned char *in[BITDROP_MAX_INPUTS];
    ptrdiff_t out_gap; /* between rows, bytes; < 0: back to a bias that repeats */
    unsigned char *out;
    ptrdiff_t in_gap[BITDROP_MAX_INPUTS];
    const uint8_t *bits; /* from a byte on */
    size_t bits_gap;   /* between the bits of two rows, modulo 2^n: back to bits that rows share */
    uint8_t *marks;    /* of these strips, if the body makes any */
    size_t third_step; /* bytes to the next strip of the third; 0: all elements are the same */
    size_t strips;
    size_t strips_of_row;
    size_t row_strips; /* left in this row */

    /* As in the job: copies, which stores to out cannot change. */
    unsigned how;            /* enum work_flags: in one word, because few registers are left */
    unsigned prefetch_ahead; /* bytes; like the parameters */
    double f64_parameter[BITDROP_MAX_PARAMETERS]; /* only of copies made by work_copy */
    float f32_parameter[BITDROP_MAX_PARAMETERS];

    /* The rest of the batch: from (row, col) on, with bits `first` on of keep. */
    size_t row, col, left;
    const uint8_t *keep;
    size_t first;

    const struct bitdrop_job *job;
    apply_strips *apply;
    apply_partial *partial;
    apply_batch_rows *rows; /* NULL: strips are made of the batch */
    size_t vector_bytes;    /* what streaming stores are aligned to */
    bool many_rows;         /* a piece may have many rows */
    size_t burst;           /* strips to apply in a pause */
    struct scratch *scratch;
    struct work *original; /* of a copy */
};

/* Where the strips begin, and how they go on. */
FORCE_INLINE void work_copy_place(struct work *copy, const struct work *work)
{
    copy->in[0] = work->in[0];
    copy->in[1] = work->in[1];
    copy->in[2] = work->in[2];
    copy->third_step = work->third_step;
    copy->out = work->out;
    copy->row_strips = work->row_strips;
    copy->strips_of_row = work->strips_of_row;
    copy->in_gap[0] = work->in_gap[0];
    copy->in_gap[1] = work->in_gap[1];
    copy->in_gap[2] = work->in_gap[2];
    copy->out_gap = work->out_gap;
}

/*
 * A copy for a loop over strips, without the rest of the batch except its size. If nobody else
 * knows its address, compilers hold its members in registers and the parameters in vectors. They
 * are copied one by one: wider loads would wait for the narrower stores before them.
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

/* The rest of the batch, to a copy for a loop over rows and back. */
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

/* What a loop over strips changes of its copy. */
FORCE_INLINE void work_return(struct work *work, const struct work *copy)
{
    work->in[0] = copy->in[0];
    work->in[1] = copy->in[1];
    work->in[2] = copy->in[2];
    work->out = copy->out;
    work->bits = copy->bits;
    work->marks = copy->marks;
    work->strips = copy->strips;
    work->row_strips = copy->row_strips;
}

static inline const unsigned char *operand_at(const struct bitdrop_operand *o, size_t row,
                                              size_t col)
{
    return o->at + row * o->row_bytes + col * o->col_bytes;
}

/* Past `count` elements of the batch, which are in one row. */
static inline void work_advance(struct work *work, size_t count)
{
    work->left -= count;
    work->first += count;
    work->col += count;
    if (work->col == work->job->cols) {
        work->row++;
        work->col = 0;
        work->first += work->bits_gap;
        work->keep += work->first / 8; /* of rows far apart there may be more bits than fit */
        work->first %= 8;
    }
}

typedef void work_hook(struct work *work);

FORCE_INLINE void no_hook(struct work *work) { (void)work; }

#endif
