/* SPDX-License-Identifier: Apache-2.0 */
/* Where the buffers of a call lie, and whether they overlap: the last rows of the status table. */
#ifndef BITDROP_BUFFERS_H
#define BITDROP_BUFFERS_H

#include "arguments.h"

/* The buffers of a call. rows is 0 in a span that the call does not have. */
struct spans {
    struct span in[BITDROP_MAX_INPUTS], out, mask;
    struct span more_bias, lse; /* of softmax: a second span of the bias; the log-sum-exps */
};

INLINE bool mask_span(struct span *span, const struct bitdrop_call *call,
                      const struct bitdrop_plan *plan, const bitdrop_2d *s)
{
    const uint64_t groups = last_group(s) - first_group(s) + 1;
    const size_t row_bytes = bytes_of_bits(s->cols);

    if (plan->mask_of_marks)
        return span_make(span, call->mask, s->rows, row_bytes, s->mask_stride, 1);
    if (s->unit == BITDROP_EACH_ROW)
        return span_make(span, call->mask, 1, bytes_of_bits((size_t)groups), 0, 1);
    return span_make(span, call->mask, (size_t)groups, row_bytes, s->mask_stride, 1);
}

/* Rows `first` to `last` of the bias. */
INLINE bool bias_span(struct span *span, const struct bitdrop_call *call, const bitdrop_2d *s,
                      uint64_t first, uint64_t last)
{
    const size_t size = dtype_bytes[call->dtype];
    size_t row_bytes, before, all;

    if (__builtin_mul_overflow(bias_stride(call->soft, s), size, &row_bytes) ||
        __builtin_mul_overflow(last, row_bytes, &all) ||
        all > UINTPTR_MAX - (uintptr_t)call->soft->bias)
        return false;
    before = (size_t)first * row_bytes;
    return span_make(span, (const unsigned char *)call->soft->bias + before,
                     (size_t)(last - first) + 1, s->cols, bias_stride(call->soft, s), size);
}

/*
 * The rows of the bias that a call reads, as one span in most cases. They are two spans if the rows
 * of the call begin within a block, go on at the beginning of the same block, and do not use all of
 * it. Then more_bias is the end of the block, and in[i] its beginning.
 */
static __attribute__((noinline)) bool
bias_spans(struct spans *spans, int i, const struct bitdrop_call *call, const bitdrop_2d *s)
{
    const struct bitdrop_softmax_rows rows = softmax_rows(call, s);
    const uint64_t R = s->first_row, last_R = R + (s->rows - 1), block = rows.bias_block;
    uint64_t first = bitdrop_bias_row(&rows, R), last = bitdrop_bias_row(&rows, last_R);

    if (block > 0) {
        const uint64_t period = R / rows.bias_period, last_period = last_R / rows.bias_period;
        const uint64_t left = rows.bias_period - R % rows.bias_period; /* of the first period */

        if (period == last_period && last_R - R < block - 1 && last < first) {
            return bias_span(&spans->more_bias, call, s, first, period * block + (block - 1)) &&
                   bias_span(&spans->in[i], call, s, period * block, last);
        }
        if (smaller_64(left, last_R - R + 1) >= block)
            first = period * block;
        if (last_R % rows.bias_period >= block - 1 && last_R - R >= block - 1)
            last = last_period * block + (block - 1);
    }
    return bias_span(&spans->in[i], call, s, first, last);
}

/* False if a buffer reaches past the end of the address space. */
INLINE bool make_spans(struct spans *spans, const struct bitdrop_call *call,
                       const struct bitdrop_plan *plan, const bitdrop_2d *s)
{
    const size_t size = plan->body == BODY_NONE ? 0 : dtype_bytes[call->dtype];

    spans->out.rows = spans->mask.rows = spans->more_bias.rows = spans->lse.rows = 0;
    for (int i = 0; i < plan->inputs; i++) {
        const enum bitdrop_input kind = plan->row->in[i];
        const size_t stride = kind == IN_FIRST ? s->x_stride : s->z_stride;

        spans->in[i] = (struct span){0};
        if (call->in[i] == NULL)
            continue;
        if (kind == IN_ROW_BIAS ? !bias_spans(spans, i, call, s)
                                : !span_make(&spans->in[i], call->in[i],
                                             kind == IN_BIAS ? 1 : s->rows, s->cols, stride, size))
            return false;
    }
    if (plan->whole_rows && plan->row->bits == BITS_WRITTEN && call->soft->lse != NULL &&
        !span_make(&spans->lse, call->soft->lse, 1, s->rows, 0, size == 8 ? 8 : 4))
        return false;
    if (size > 0 && !span_make(&spans->out, call->out, s->rows, s->cols, s->y_stride, size))
        return false;
    return !plan->has_mask || mask_span(&spans->mask, call, plan, s);
}

INLINE bool overlap(const struct span *a, const struct span *b)
{
    return a->rows > 0 && b->rows > 0 && spans_overlap(a, b);
}

/*
 * Whether one of the spans that only softmax has overlaps a buffer that it must not: prob, which is
 * operand 2, lse or more_bias. prob may be the first operand. No other buffer may overlap it.
 */
static __attribute__((noinline)) bool softmax_overlaps(const struct spans *spans,
                                                       const struct bitdrop_plan *plan)
{
    const struct span *prob = plan->inputs > 2 ? &spans->in[2] : NULL;

    for (int i = 0; i < plan->inputs; i++) {
        const bool is_prob = plan->row->in[i] == IN_PROB;

        if (overlap(&spans->in[i], &spans->lse))
            return true;
        if (prob != NULL && !is_prob && overlap(&spans->in[i], prob) &&
            !(plan->row->in[i] == IN_FIRST && spans_same(&spans->in[i], prob)))
            return true;
    }
    return overlap(&spans->lse, &spans->out) || overlap(&spans->lse, &spans->mask) ||
           overlap(&spans->more_bias, &spans->lse) || overlap(&spans->more_bias, &spans->out) ||
           (plan->writes_mask && overlap(&spans->more_bias, &spans->mask)) ||
           (prob != NULL && overlap(&spans->more_bias, prob));
}

INLINE bool may_be_output(enum bitdrop_input kind)
{
    return kind != IN_BIAS && kind != IN_ROW_BIAS && kind != IN_PROB;
}

/* Whether a buffer that is written overlaps another one, except where the call may be in place. */
INLINE bool outputs_overlap(const struct spans *spans, const struct bitdrop_plan *plan)
{
    for (int i = 0; i < plan->inputs; i++) {
        const struct span *in = &spans->in[i];
        const bool in_place = may_be_output(plan->row->in[i]) && spans_same(in, &spans->out);

        if (!in_place && overlap(in, &spans->out))
            return true;
        if ((plan->writes_mask || plan->row->in[i] == IN_PROB) && overlap(in, &spans->mask))
            return true;
    }
    return overlap(&spans->out, &spans->mask) ||
           (plan->whole_rows && softmax_overlaps(spans, plan));
}

/* Checks the rows BITDROP_ERR_RANGE and BITDROP_ERR_OVERLAP. shape has its defaults filled in. */
INLINE bitdrop_status check_memory(const struct bitdrop_call *call, const struct bitdrop_plan *plan,
                                   const bitdrop_2d *shape)
{
    struct spans spans;

    if (!strides_are_right(shape, call->shape, plan->mask_of_marks) ||
        (plan->whole_rows && !softmax_fits(call->soft, shape)))
        return BITDROP_ERR_RANGE;
    if (shape->rows > 0 && shape->first_row > UINT64_MAX - (shape->rows - 1))
        return BITDROP_ERR_RANGE;
    if (shape->rows == 0 || shape->cols == 0)
        return BITDROP_OK;
    if (plan->makes_bits && !indices_fit(call->cfg->offset, shape))
        return BITDROP_ERR_RANGE;
    if (!make_spans(&spans, call, plan, shape))
        return BITDROP_ERR_RANGE;
    return outputs_overlap(&spans, plan) ? BITDROP_ERR_OVERLAP : BITDROP_OK;
}

#endif
