/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of a call: what it needs of them, and the status table. Inline, because a small
 * call would otherwise spend as long here as in its kernel.
 */
#ifndef BITDROP_ARGUMENTS_H
#define BITDROP_ARGUMENTS_H

#include <stdbool.h>

#include "kernels.h"
#include "span.h"

/* A call as data. Arguments that it does not have are NULL or 0. */
struct bitdrop_call {
    enum bitdrop_operation op;
    const bitdrop_config *cfg;
    bitdrop_dtype dtype;
    const bitdrop_2d *shape;
    const void *in[BITDROP_MAX_INPUTS];
    void *out;
    uint8_t *mask; /* only read by operations whose bits are READ */
    bool unknown_activation;
};

/* What follows from the operation and from mask_use, whether the rest is right or wrong. */
struct bitdrop_plan {
    const struct bitdrop_operation_row *row;
    enum bitdrop_body body;
    int inputs;         /* operands that are read */
    bool makes_bits;    /* by the generator */
    bool has_mask;      /* in memory */
    bool writes_mask;   /* that one, or else it is read */
    bool mask_of_marks; /* it holds what a body marks: a bit for each element, whatever the unit */
};

static const struct bitdrop_operation_row operation_rows[BITDROP_OPERATION_COUNT] = {
    BITDROP_OPERATIONS(BITDROP_OPERATION_ROW)};

static const int body_inputs[BITDROP_BODY_COUNT + 1] = {
#define INPUTS(name, inputs, generator, marks) inputs,
    BITDROP_BODIES(INPUTS) 0};

static const bool body_marks[BITDROP_BODY_COUNT + 1] = {
#define MARKS(name, inputs, generator, marks) marks,
    BITDROP_BODIES(MARKS) false};

/* ceil(n/8), for calls from within the library. */
INLINE size_t bytes_of_bits(size_t n) { return n / 8 + (n % 8 != 0); }

static const size_t dtype_bytes[BITDROP_DTYPE_COUNT] = {
#define DTYPE_BYTES(t, bytes) bytes,
    BITDROP_DTYPES(DTYPE_BYTES)};

INLINE struct bitdrop_plan plan_of(const struct bitdrop_call *call)
{
    const struct bitdrop_operation_row *row = &operation_rows[call->op];
    const bool has_data = row->body != BODY_NONE;
    const bool remade = has_data && call->cfg != NULL && call->cfg->mask_use == BITDROP_MASK_REMADE;
    const bool has_mask = (row->bits == BITS_WRITTEN || row->bits == BITS_READ) && !remade;
    const bool reads_mask = row->bits == BITS_READ && has_mask;
    const enum bitdrop_body body = reads_mask ? row->stored_body : row->body;

    return (struct bitdrop_plan){
        .row = row,
        .body = body,
        .inputs = body_inputs[body],
        .makes_bits = row->bits != BITS_NONE && !reads_mask,
        .has_mask = has_mask,
        .writes_mask = has_mask && !reads_mask,
        /* A backward call does something else by a stored mask only if that holds marks. */
        .mask_of_marks = body_marks[row->body] || row->body != row->stored_body,
    };
}

INLINE bool may_be_null(enum bitdrop_input kind)
{
    return kind == IN_NONE || kind == IN_BIAS || kind == IN_THIRD_OR_NULL;
}

INLINE bitdrop_status check_pointers(const struct bitdrop_call *call,
                                     const struct bitdrop_plan *plan)
{
    if (call->cfg == NULL || call->shape == NULL)
        return BITDROP_ERR_NULL;
    if (!plan->has_mask && call->mask != NULL)
        return BITDROP_ERR_NULL;
    if (call->shape->rows == 0 || call->shape->cols == 0)
        return BITDROP_OK;
    for (int i = 0; i < plan->inputs; i++)
        if (call->in[i] == NULL && !may_be_null(plan->row->in[i]))
            return BITDROP_ERR_NULL;
    if (plan->body != BODY_NONE && call->out == NULL)
        return BITDROP_ERR_NULL;
    if (plan->has_mask && call->mask == NULL)
        return BITDROP_ERR_NULL;
    return BITDROP_OK;
}

INLINE bool parallel_is_right(const bitdrop_parallel *p)
{
    return p == NULL || (p->run != NULL && p->tasks > 0 && (p->reserved[0] | p->reserved[1]) == 0);
}

INLINE bitdrop_status check_config(const bitdrop_config *cfg)
{
    if (!(cfg->p >= 0 && cfg->p <= 1)) /* a NaN fails both */
        return BITDROP_ERR_PROBABILITY;
    if (cfg->rounds != 0 && cfg->rounds != 7 && cfg->rounds != 10)
        return BITDROP_ERR_CONFIG;
    if (cfg->scaling > BITDROP_SCALE_INFER || cfg->stores > BITDROP_STORES_STREAMING ||
        cfg->mask_use > BITDROP_MASK_REMADE)
        return BITDROP_ERR_CONFIG;
    if (!parallel_is_right(cfg->parallel))
        return BITDROP_ERR_CONFIG;
    if ((cfg->reserved32 | cfg->reserved8[0] | cfg->reserved8[1] | cfg->reserved8[2] |
         cfg->reserved[0] | cfg->reserved[1]) != 0)
        return BITDROP_ERR_CONFIG;
    return BITDROP_OK;
}

/* The rows of the table up to BITDROP_ERR_DTYPE. */
INLINE bitdrop_status check_values(const struct bitdrop_call *call, const struct bitdrop_plan *plan)
{
    const bitdrop_2d *s = call->shape;
    bitdrop_status status = check_pointers(call, plan);

    if (status == BITDROP_OK)
        status = check_config(call->cfg);
    if (status != BITDROP_OK)
        return status;
    if (s->unit > BITDROP_EACH_ROW ||
        (s->flags | s->reserved[0] | s->reserved[1] | s->reserved[2]) != 0)
        return BITDROP_ERR_CONFIG;
    if (call->unknown_activation)
        return BITDROP_ERR_CONFIG;
    if (plan->body != BODY_NONE && (unsigned)call->dtype >= BITDROP_DTYPE_COUNT)
        return BITDROP_ERR_DTYPE;
    return BITDROP_OK;
}

/* The shape with each 0 that stands for a default replaced. */
INLINE bitdrop_2d with_defaults(const bitdrop_2d *shape)
{
    bitdrop_2d s = *shape;

    if (s.pitch == 0)
        s.pitch = s.cols;
    if (s.x_stride == 0)
        s.x_stride = s.cols;
    if (s.y_stride == 0)
        s.y_stride = s.cols;
    if (s.z_stride == 0)
        s.z_stride = s.cols;
    if (s.mask_stride == 0)
        s.mask_stride = bytes_of_bits(s.cols);
    if (s.mask_repeat == 0)
        s.mask_repeat = 1;
    return s;
}

/*
 * Of shapes with their defaults filled in and rows > 0: the first and the last group of rows that
 * share their decisions. Divisions take longer than all other checks together, and rows seldom
 * share any.
 */
INLINE uint64_t group_of(uint64_t row, size_t repeat) { return repeat == 1 ? row : row / repeat; }

INLINE uint64_t first_group(const bitdrop_2d *s) { return group_of(s->first_row, s->mask_repeat); }

INLINE uint64_t last_group(const bitdrop_2d *s)
{
    return group_of(s->first_row + (s->rows - 1), s->mask_repeat);
}

/* given: the shape as the caller has it, without defaults. */
INLINE bool strides_are_right(const bitdrop_2d *s, const bitdrop_2d *given, bool mask_of_marks)
{
    if (s->unit == BITDROP_EACH_ROW &&
        (given->pitch != 0 || (given->mask_stride != 0 && !mask_of_marks)))
        return false;
    return s->pitch >= s->cols && s->x_stride >= s->cols && s->y_stride >= s->cols &&
           s->z_stride >= s->cols && s->mask_stride >= bytes_of_bits(s->cols);
}

/* The last index is at most 2^64 - 1; rows, cols > 0. */
INLINE bool indices_fit(uint64_t offset, const bitdrop_2d *s)
{
    const uint64_t room = UINT64_MAX - offset, last = last_group(s);

    if (s->unit == BITDROP_EACH_ROW)
        return last <= room;
    return s->cols - 1 <= room && (last == 0 || last <= (room - (s->cols - 1)) / s->pitch);
}

/* The buffers of a call. An operand that is not read has no rows. */
struct spans {
    struct span in[BITDROP_MAX_INPUTS], out, mask;
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

/* False if a buffer reaches past the end of the address space. */
INLINE bool make_spans(struct spans *spans, const struct bitdrop_call *call,
                       const struct bitdrop_plan *plan, const bitdrop_2d *s)
{
    const size_t size = plan->body == BODY_NONE ? 0 : dtype_bytes[call->dtype];

    spans->out.rows = spans->mask.rows = 0;
    for (int i = 0; i < plan->inputs; i++) {
        const enum bitdrop_input kind = plan->row->in[i];
        const size_t stride = kind == IN_FIRST ? s->x_stride : s->z_stride;

        spans->in[i].rows = 0;
        if (call->in[i] != NULL && !span_make(&spans->in[i], call->in[i],
                                              kind == IN_BIAS ? 1 : s->rows, s->cols, stride, size))
            return false;
    }
    if (size > 0 && !span_make(&spans->out, call->out, s->rows, s->cols, s->y_stride, size))
        return false;
    return !plan->has_mask || mask_span(&spans->mask, call, plan, s);
}

INLINE bool overlap(const struct span *a, const struct span *b)
{
    return a->rows > 0 && b->rows > 0 && spans_overlap(a, b);
}

/* Whether something that is written overlaps another buffer, other than in place. */
INLINE bool outputs_overlap(const struct spans *spans, const struct bitdrop_plan *plan)
{
    for (int i = 0; i < plan->inputs; i++) {
        const struct span *in = &spans->in[i];
        const bool in_place = plan->row->in[i] != IN_BIAS && spans_same(in, &spans->out);

        if (!in_place && overlap(in, &spans->out))
            return true;
        if (plan->writes_mask && overlap(in, &spans->mask))
            return true;
    }
    return overlap(&spans->out, &spans->mask);
}

/* The rest of it except BITDROP_ERR_ISA; shape has its defaults filled in. */
INLINE bitdrop_status check_memory(const struct bitdrop_call *call, const struct bitdrop_plan *plan,
                                   const bitdrop_2d *shape)
{
    struct spans spans;

    if (!strides_are_right(shape, call->shape, plan->mask_of_marks))
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
