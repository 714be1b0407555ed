/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of a call, and their checks in the order of the status table (docs/reference.md).
 * Inline, because otherwise a small call would spend as long here as in its kernel.
 */
#ifndef BITDROP_ARGUMENTS_H
#define BITDROP_ARGUMENTS_H

#include <stdbool.h>

#include "kernels.h"
#include "span.h"

/* The arguments of any call on data or masks. Those that a call does not have are NULL or 0. */
struct bitdrop_call {
    enum bitdrop_operation op;
    const bitdrop_config *cfg;
    bitdrop_dtype dtype;
    const bitdrop_2d *shape;
    const void *in[BITDROP_MAX_INPUTS];
    void *out;
    uint8_t *mask; /* only read by operations whose bits are READ */
    bool unknown_activation;
    const bitdrop_softmax *soft; /* its bias is among the inputs too */
};

/* What follows from the operation and from mask_use, before the other arguments are checked. */
struct bitdrop_plan {
    const struct bitdrop_operation_row *row;
    enum bitdrop_body body;
    int inputs;         /* operands that are read */
    bool makes_bits;    /* with the generator */
    bool has_mask;      /* there is a mask in memory */
    bool writes_mask;   /* the call writes it; if not, the call reads it */
    bool mask_of_marks; /* it holds the marks of a body: a bit per element, whatever the unit */
    bool whole_rows;    /* the call has a bitdrop_softmax */
};

static const struct bitdrop_operation_row operation_rows[BITDROP_OPERATION_COUNT] = {
    BITDROP_OPERATIONS(BITDROP_OPERATION_ROW)};

/* By body. The last element, of BODY_NONE, is 0 in each. */
static const int body_inputs[BITDROP_BODY_COUNT + 1] = {
#define INPUTS(name, inputs, generator, marks) inputs,
    BITDROP_BODIES(INPUTS)};

static const bool body_marks[BITDROP_BODY_COUNT + 1] = {
#define MARKS(name, inputs, generator, marks) marks,
    BITDROP_BODIES(MARKS)};

static const bool body_whole_rows[BITDROP_BODY_COUNT + 1] = {
#define OF_WHOLE_ROWS(name, inputs, generator, marks) GENERATOR_##generator == GENERATOR_WHOLE_ROWS,
    BITDROP_BODIES(OF_WHOLE_ROWS)};

/* ceil(n/8). The exported function is bitdrop_mask_bytes. */
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
        /* A backward call has another stored_body only if a stored mask holds marks. */
        .mask_of_marks = body_marks[row->body] || row->body != row->stored_body,
        .whole_rows = body_whole_rows[body],
    };
}

INLINE bool may_be_null(enum bitdrop_input kind) { return kind != IN_FIRST && kind != IN_THIRD; }

INLINE bitdrop_status check_pointers(const struct bitdrop_call *call,
                                     const struct bitdrop_plan *plan)
{
    if (call->cfg == NULL || call->shape == NULL || (plan->whole_rows && call->soft == NULL))
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

INLINE bool softmax_is_right(const bitdrop_softmax *soft)
{
    /* check_pointers has refused NULL. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    return soft->scale - soft->scale == 0 && /* neither a NaN nor infinite */
           (soft->causal_rows != 0 || soft->causal_first == 0) &&
           (soft->reserved[0] | soft->reserved[1]) == 0;
}

/* Checks the rows of the status table up to BITDROP_ERR_DTYPE. */
INLINE bitdrop_status check_values(const struct bitdrop_call *call, const struct bitdrop_plan *plan)
{
    const bitdrop_2d *s = call->shape;
    bitdrop_status status = check_pointers(call, plan);

    if (status == BITDROP_OK && plan->row->bits == BITS_NOISE && call->cfg->p == 1)
        return BITDROP_ERR_PROBABILITY;
    if (status == BITDROP_OK)
        status = check_config(call->cfg);
    if (status != BITDROP_OK)
        return status;
    if (s->unit > BITDROP_EACH_ROW ||
        (s->flags | s->reserved[0] | s->reserved[1] | s->reserved[2]) != 0)
        return BITDROP_ERR_CONFIG;
    if (call->unknown_activation || (plan->whole_rows && !softmax_is_right(call->soft)))
        return BITDROP_ERR_CONFIG;
    if (plan->body != BODY_NONE && (unsigned)call->dtype >= BITDROP_DTYPE_COUNT)
        return BITDROP_ERR_DTYPE;
    return BITDROP_OK;
}

/* The shape with defaults filled in where a member is 0. */
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
 * A group is all rows that share their decisions. first_group and last_group are those of a shape
 * with rows > 0 and defaults filled in. group_of avoids the division if it can: one takes longer
 * than all other checks together, and rows seldom share decisions.
 */
INLINE uint64_t group_of(uint64_t row, size_t repeat) { return repeat == 1 ? row : row / repeat; }

INLINE uint64_t first_group(const bitdrop_2d *s) { return group_of(s->first_row, s->mask_repeat); }

INLINE uint64_t last_group(const bitdrop_2d *s)
{
    return group_of(s->first_row + (s->rows - 1), s->mask_repeat);
}

/* given: the shape as the caller passed it, without defaults. */
INLINE bool strides_are_right(const bitdrop_2d *s, const bitdrop_2d *given, bool mask_of_marks)
{
    if (s->unit == BITDROP_EACH_ROW &&
        (given->pitch != 0 || (given->mask_stride != 0 && !mask_of_marks)))
        return false;
    return s->pitch >= s->cols && s->x_stride >= s->cols && s->y_stride >= s->cols &&
           s->z_stride >= s->cols && s->mask_stride >= bytes_of_bits(s->cols);
}

/* Whether the last index is at most 2^64 - 1. rows, cols > 0. */
INLINE bool indices_fit(uint64_t offset, const bitdrop_2d *s)
{
    const uint64_t available = UINT64_MAX - offset, last = last_group(s);

    if (s->unit == BITDROP_EACH_ROW)
        return last <= available;
    return s->cols - 1 <= available &&
           (last == 0 || last <= (available - (s->cols - 1)) / s->pitch);
}

INLINE size_t bias_stride(const bitdrop_softmax *soft, const bitdrop_2d *s)
{
    return soft->bias_stride == 0 ? s->cols : soft->bias_stride;
}

/* *period = the number of rows that use one block of the bias. False if that overflows. */
INLINE bool bias_period(const bitdrop_softmax *soft, size_t *period)
{
    const size_t repeat = soft->bias_repeat == 0 ? 1 : soft->bias_repeat;

    return !__builtin_mul_overflow(soft->bias_block, repeat, period);
}

INLINE bool softmax_fits(const bitdrop_softmax *soft, const bitdrop_2d *s)
{
    size_t period;

    return bias_period(soft, &period) && bias_stride(soft, s) >= s->cols;
}

/* The rows of a softmax call whose arguments have been checked. */
INLINE struct bitdrop_softmax_rows softmax_rows(const struct bitdrop_call *call,
                                                const bitdrop_2d *s)
{
    const bitdrop_softmax *soft = call->soft;
    size_t period = 0;

    bias_period(soft, &period);
    return (struct bitdrop_softmax_rows){
        .first_row = s->first_row,
        .bias_block = soft->bias_block,
        .bias_period = period,
        .bias_row_bytes = bias_stride(soft, s) * dtype_bytes[call->dtype],
        .causal_rows = soft->causal_rows,
        .causal_first = soft->causal_first,
        .lse = soft->lse,
    };
}

#endif
