/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes one or two jobs of a call, and runs them. Inline, like arguments.h: flat calls may be
 * short, and compilers can compute most of their job in advance.
 */
#ifndef BITDROP_RUN_CALL_H
#define BITDROP_RUN_CALL_H

#include <math.h>
#include <string.h>

#include "buffers.h"
#include "dispatch.h"
#include "kernels.h"
#include "parallel.h"

#define BITDROP_PARAMETERS
#include "op/bodies.h"
#undef BITDROP_PARAMETERS

/* Computes the numbers p[] of a body. given: the bits come from a stored mask. */
typedef void parameters_function(const bitdrop_config *cfg, bool given, double *p);

static parameters_function *const parameters[BITDROP_OPERATION_COUNT] = {
#define PARAMETERS(name, function, arguments, inputs, bits, body, stored_body, parameters)         \
    parameters##_parameters,
    BITDROP_OPERATIONS(PARAMETERS)};

/* A strip of -0, of each dtype. */
#define FOUR(x) x, x, x, x
#define EIGHT(x) FOUR(x), FOUR(x)
static const uint64_t zeros_f64[WORD_ELEMENTS] = {
    EIGHT(UINT64_C(0x8000000000000000)), EIGHT(UINT64_C(0x8000000000000000)),
    EIGHT(UINT64_C(0x8000000000000000)), EIGHT(UINT64_C(0x8000000000000000))};
static const uint64_t zeros_f32[WORD_ELEMENTS / 2] = {EIGHT(UINT64_C(0x8000000080000000)),
                                                      EIGHT(UINT64_C(0x8000000080000000))};
static const uint64_t zeros_half[WORD_ELEMENTS / 4] = {EIGHT(UINT64_C(0x8000800080008000))};

static const uint64_t *const negative_zeros[BITDROP_DTYPE_COUNT] = {
    [BITDROP_F32] = zeros_f32,
    [BITDROP_F64] = zeros_f64,
    [BITDROP_F16] = zeros_half,
    [BITDROP_BF16] = zeros_half,
};

/* Inputs and outputs of a job have the same type. Kernels only read the inputs. */
INLINE unsigned char *writable(const void *p) { return (unsigned char *)(uintptr_t)p; }

INLINE struct bitdrop_operand operand_of(const struct bitdrop_call *call, enum bitdrop_input kind,
                                         const void *at, const bitdrop_2d *s)
{
    const size_t size = dtype_bytes[call->dtype];
    const size_t stride = kind == IN_FIRST ? s->x_stride : s->z_stride;
    /* Stride 0: rows share a BIAS, and softmax steps over the rows of a ROW_BIAS itself. */
    const bool is_bias = kind == IN_BIAS || kind == IN_ROW_BIAS;

    if (kind == IN_NONE || at == NULL)
        return (struct bitdrop_operand){writable(negative_zeros[call->dtype]), 0, 0};
    return (struct bitdrop_operand){writable(at), is_bias ? 0 : stride * size, size};
}

/* Makes one row of a matrix that has no gaps in data, indices and mask bits. */
INLINE void flatten(struct bitdrop_job *job)
{
    const bool has_mask_rows = job->keep != NULL || job->mask != NULL || job->marks != NULL;

    if (job->rows == 1 || job->repeat > 1 || job->unit == UNIT_ROW || job->softmax != NULL)
        return;
    for (int i = 0; i < BITDROP_MAX_INPUTS; i++)
        if (!bitdrop_is_dense(&job->in[i], job->cols))
            return;
    if (!bitdrop_is_dense(&job->out, job->cols) || (job->stream != NULL && job->pitch != job->cols))
        return;
    if (has_mask_rows && (job->cols % 8 != 0 || job->mask_stride != job->cols / 8))
        return;
    if (job->rows > SIZE_MAX / job->cols) /* a mask alone may have more bits than fit in a size_t */
        return;
    job->cols *= job->rows;
    job->rows = 1;
}

enum { MOST_OPERANDS = 4 }; /* a power of 2, so that small calls need no division */

/* Chooses stores through the caches or past them. `bytes` fits in a size_t, as y is in memory. */
INLINE void choose_stores(struct bitdrop_job *job, unsigned stores)
{
    const size_t bytes = job->rows * job->cols * job->size;
    size_t operands = 1; /* of rows x cols elements: the output, and inputs that are not repeated */
    bool in_place = false;

    for (int i = 0; i < BITDROP_MAX_INPUTS; i++) {
        in_place |= job->in[i].at == job->out.at;
        operands += job->in[i].row_bytes != 0 || (job->rows == 1 && job->in[i].col_bytes != 0);
    }
    job->streaming = stores == BITDROP_STORES_STREAMING;
    if (stores == BITDROP_STORES_AUTO)
        job->streaming = !in_place && bytes >= bitdrop_streaming_bytes() / MOST_OPERANDS &&
                         bytes >= bitdrop_streaming_bytes() / operands;
    if (((uintptr_t)job->out.at & (job->size - 1)) != 0) /* no vector of it is aligned */
        job->streaming = false;
    job->prefetch = bitdrop_prefetch_of(bitdrop_tuning(), job->streaming, bytes);
}

static void copy_rows(const struct bitdrop_job *job)
{
    if (job->in[0].at == job->out.at)
        return;
    for (size_t r = 0; r < job->rows; r++)
        memcpy(job->out.at + r * job->out.row_bytes, job->in[0].at + r * job->in[0].row_bytes,
               job->cols * job->size);
}

static void zero_rows(const struct bitdrop_job *job)
{
    for (size_t r = 0; r < job->rows; r++)
        memset(job->out.at + r * job->out.row_bytes, 0, job->cols * job->size);
}

INLINE bitdrop_kernel *kernel_of(const struct bitdrop_call *call, const struct bitdrop_plan *plan,
                                 const struct bitdrop_kernels *kernels)
{
    if (plan->row->bits == BITS_NONE && call->cfg->scaling == BITDROP_SCALE_TRAIN)
        return copy_rows;
    if (plan->row->bits == BITS_NONE && call->cfg->p == 1)
        return zero_rows;
    return kernels->bodies[call->dtype][plan->body];
}

/*
 * Sets the rows, columns and indices of a job, and leaves its buffers and bits empty. It sets
 * member by member, because compilers clear a structure of this size by an instruction that takes
 * 10 ns.
 */
INLINE void init_job(struct bitdrop_job *job, const struct bitdrop_call *call, const bitdrop_2d *s)
{
    const uint64_t first = first_group(s);

    job->rows = s->rows;
    job->cols = s->cols;
    job->offset = call->cfg->offset + first * (s->unit == BITDROP_EACH_ROW ? 1 : s->pitch);
    job->pitch = s->pitch;
    job->repeat = s->mask_repeat;
    job->phase = (size_t)(s->first_row - first * s->mask_repeat);
    job->unit = (enum bitdrop_unit)s->unit;
    job->stream = NULL;
    job->keep = NULL;
    job->keep_bit = 0;
    job->mask = NULL;
    job->marks = NULL;
    job->mask_stride = s->mask_stride;
    job->softmax = NULL;
    job->first_row = s->first_row;
    for (int i = 0; i < BITDROP_MAX_INPUTS; i++)
        job->in[i] = (struct bitdrop_operand){NULL, 0, 0};
    job->out = (struct bitdrop_operand){NULL, 0, 0};
    job->size = 0;
    for (int i = 0; i < BITDROP_MAX_PARAMETERS; i++)
        job->f64_parameter[i] = 0;
    job->streaming = false;
    job->prefetch = (struct bitdrop_prefetch){false, false, false, 0};
}

/* Gives each element of a job a decision of its own. */
INLINE void set_elements(struct bitdrop_job *job)
{
    job->unit = UNIT_ELEMENT;
    job->repeat = 1;
    job->phase = 0;
}

/* Makes the mask of a call: a row of bits for each group, or with BITDROP_EACH_ROW one bit. */
INLINE void run_mask(const struct bitdrop_call *call, const bitdrop_2d *s,
                     const struct bitdrop_stream *stream, const struct bitdrop_kernels *kernels)
{
    const size_t groups = (size_t)(last_group(s) - first_group(s)) + 1;
    struct bitdrop_job job;

    init_job(&job, call, s);
    job.rows = groups;
    if (job.unit == UNIT_ROW) {
        job.rows = 1;
        job.cols = groups;
    }
    set_elements(&job);
    job.stream = stream;
    job.mask = call->mask;
    flatten(&job);
    bitdrop_share_out(&job, kernels->mask, call->cfg->parallel);
}

/* Applies the body. `stream` makes the bits. If it is NULL the mask has them, or all are kept. */
INLINE void run_body(const struct bitdrop_call *call, const struct bitdrop_plan *plan,
                     const bitdrop_2d *s, const struct bitdrop_stream *stream,
                     const struct bitdrop_kernels *kernels)
{
    const bool given = stream == NULL;
    const size_t size = dtype_bytes[call->dtype];
    struct bitdrop_softmax_rows softmax;
    struct bitdrop_job job;

    init_job(&job, call, s);
    if (plan->row->bits == BITS_NONE || (given && plan->mask_of_marks))
        set_elements(&job);
    job.stream = stream;
    if (given)
        job.keep = call->mask;
    else if (plan->mask_of_marks)
        job.marks = call->mask;
    else
        job.mask = call->mask;
    for (int i = 0; i < plan->inputs; i++)
        job.in[i] = operand_of(call, plan->row->in[i], call->in[i], s);
    job.out = (struct bitdrop_operand){call->out, s->y_stride * size, size};
    job.size = size;
    parameters[call->op](call->cfg, plan->has_mask && !plan->writes_mask, job.f64_parameter);
    if (plan->whole_rows) {
        softmax = softmax_rows(call, s);
        job.softmax = &softmax;
        job.f64_parameter[1] = call->soft->scale == 0 ? 1 : call->soft->scale;
    }
    for (int i = 0; i < BITDROP_MAX_PARAMETERS; i++)
        job.f32_parameter[i] = (float)job.f64_parameter[i];
    flatten(&job);
    choose_stores(&job, call->cfg->stores);
    bitdrop_share_out(&job, kernel_of(call, plan, kernels), call->cfg->parallel);
}

INLINE void run_jobs(const struct bitdrop_call *call, const struct bitdrop_plan *plan,
                     const bitdrop_2d *s, const struct bitdrop_kernels *kernels)
{
    const bitdrop_config *cfg = call->cfg;
    const bool shared = s->mask_repeat > 1 || s->unit == BITDROP_EACH_ROW;
    struct bitdrop_stream made;
    const struct bitdrop_stream *stream = NULL;

    if (plan->makes_bits) {
        made = bitdrop_stream_make(cfg->seed, cfg->stream, cfg->rounds == 7 ? 7 : 10, cfg->p);
        stream = &made;
    }
    if (plan->body == BODY_NONE) {
        run_mask(call, s, stream, kernels);
    } else if (plan->writes_mask && !plan->mask_of_marks && shared) {
        /* First the whole mask, so that tasks of the body may cut groups. */
        run_mask(call, s, stream, kernels);
        run_body(call, plan, s, NULL, kernels);
    } else {
        run_body(call, plan, s, stream, kernels);
    }
}

/* Checks a call and runs it. On an error nothing is written. */
INLINE bitdrop_status run_call(const struct bitdrop_call *call)
{
    const struct bitdrop_plan plan = plan_of(call);
    bitdrop_status status = check_values(call, &plan);
    const struct bitdrop_kernels *kernels;

    if (status != BITDROP_OK)
        return status;
    kernels = bitdrop_kernels_for(call->cfg->isa, call->shape->rows, call->shape->cols);
    if (kernels == NULL)
        return BITDROP_ERR_ISA;

    const bitdrop_2d shape = with_defaults(call->shape);
    status = check_memory(call, &plan, &shape);
    if (status == BITDROP_OK && shape.rows > 0 && shape.cols > 0)
        run_jobs(call, &plan, &shape, kernels);
    return status;
}

#endif
