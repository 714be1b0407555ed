/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of a softmax call: which columns they see, their bias, and what is prefetched. The parts
 * of op/softmax.h and op/softmax_grad.h that do not depend on the dtype.
 *
 * Include the vec.h of an ISA first.
 */
#ifndef BITDROP_TEMPLATE_SOFTMAX_H
#define BITDROP_TEMPLATE_SOFTMAX_H

#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif

#include <math.h>

#include "template/job.h"
#include "template/number.h"
#include "template/row_bits.h"
#include "template/strip.h"

enum { SOFTMAX_BUFFER_BYTES = 1 << 14 /* holds a part of a row, or two short rows */ };
_Static_assert(SOFTMAX_BUFFER_BYTES / sizeof(f32_number) <= ROW_PART,
               "a part has at most ROW_PART elements");

/* How many columns row R of the whole sees. */
static size_t columns_seen(const struct bitdrop_softmax_rows *s, uint64_t R, size_t cols)
{
    return s->causal_rows == 0 ? cols
                               : bitdrop_columns_seen(R % s->causal_rows, s->causal_first, cols);
}

/* The bias of row R of the whole; NULL if there is none. */
static const unsigned char *bias_row(const struct bitdrop_job *job, uint64_t R)
{
    const struct bitdrop_softmax_rows *s = job->softmax;
    const struct bitdrop_operand *bias = &job->in[1];

    if (bias->col_bytes == 0)
        return NULL;
    return bias->at + (size_t)bitdrop_bias_row(s, R) * s->bias_row_bytes;
}

/*
 * Addresses of rows to prefetch while another row goes through exp: with each strip of exps, the
 * same columns of these rows.
 */
struct rows_ahead {
    uintptr_t at[4];
    int count;
};

/*
 * What to prefetch during the exps of `row`. Inputs: x and bias, as far beyond the start of the
 * next row as elementwise calls prefetch ahead. Outputs: y and prob of `row`, which are written
 * later.
 */
static struct rows_ahead rows_ahead_of(const struct bitdrop_job *job, size_t row)
{
    const struct bitdrop_operand *x = &job->in[0], *prob = &job->in[2];
    struct rows_ahead rows = {.count = 0};

    if (job->prefetch.inputs) {
        const unsigned char *bias = bias_row(job, job->first_row + row + 1);

        rows.at[rows.count++] = (uintptr_t)operand_at(x, row + 1, 0) + job->prefetch.ahead;
        if (bias != NULL)
            rows.at[rows.count++] = (uintptr_t)bias + job->prefetch.ahead;
    }
    if (job->prefetch.output) {
        rows.at[rows.count++] = (uintptr_t)operand_at(&job->out, row, 0);
        if (prob->col_bytes != 0)
            rows.at[rows.count++] = (uintptr_t)operand_at(prob, row, 0);
    }
    return rows;
}

/* Whether prob is written past the caches. If prob replaces x, its lines are in the cache. */
static bool streams_prob(const struct bitdrop_job *job)
{
    return job->streaming && job->in[2].at != job->in[0].at;
}

#endif
