/* SPDX-License-Identifier: Apache-2.0 */
/* The exported calls: check the arguments, make a job of them, hand it to a kernel. */
#include "bitdrop/bitdrop.h"

#include <math.h>
#include <string.h>

#include "dispatch.h"
#include "kernels.h"
#include "parallel.h"
#include "span.h"

enum operation { MASK, FORWARD, BACKWARD, RECOMPUTE, INFER };

/* The arguments of a call; those that it does not have are NULL or 0. */
struct call {
    enum operation op;
    const bitdrop_config *cfg;
    bitdrop_dtype dtype;
    const bitdrop_2d *shape;
    const void *x;
    void *y;
    uint8_t *mask;       /* written */
    const uint8_t *keep; /* read */
};

static const size_t dtype_bytes[BITDROP_DTYPE_COUNT] = {
#define DTYPE_BYTES(t, bytes) bytes,
    BITDROP_DTYPES(DTYPE_BYTES)};

static bool has_data(enum operation op) { return op != MASK; }

static bool has_mask(enum operation op) { return op == MASK || op == FORWARD || op == BACKWARD; }

static bool generates(enum operation op) { return op == MASK || op == FORWARD || op == RECOMPUTE; }

static const uint8_t *mask_of(const struct call *call)
{
    return call->op == BACKWARD ? call->keep : call->mask;
}

static bitdrop_status check_pointers(const struct call *call)
{
    if (call->cfg == NULL || call->shape == NULL)
        return BITDROP_ERR_NULL;
    if (call->shape->rows == 0 || call->shape->cols == 0)
        return BITDROP_OK;
    if (has_data(call->op) && (call->x == NULL || call->y == NULL))
        return BITDROP_ERR_NULL;
    if (has_mask(call->op) && mask_of(call) == NULL)
        return BITDROP_ERR_NULL;
    return BITDROP_OK;
}

static bitdrop_status check_config(const bitdrop_config *cfg)
{
    if (!(cfg->p >= 0 && cfg->p <= 1)) /* a NaN fails both */
        return BITDROP_ERR_PROBABILITY;
    if (cfg->rounds != 0 && cfg->rounds != 7 && cfg->rounds != 10)
        return BITDROP_ERR_CONFIG;
    if (cfg->scaling > BITDROP_SCALE_INFER || cfg->stores > BITDROP_STORES_STREAMING)
        return BITDROP_ERR_CONFIG;
    if (cfg->parallel != NULL && (cfg->parallel->run == NULL || cfg->parallel->tasks == 0))
        return BITDROP_ERR_CONFIG;
    if ((cfg->reserved[0] | cfg->reserved[1] | cfg->reserved[2]) != 0)
        return BITDROP_ERR_CONFIG;
    return BITDROP_OK;
}

/* offset + (rows - 1) * pitch + cols <= 2^64, for rows, cols > 0 */
static bool indices_fit(uint64_t offset, const bitdrop_2d *s)
{
    const uint64_t room = UINT64_MAX - offset;

    return s->cols - 1 <= room &&
           (s->rows == 1 || s->rows - 1 <= (room - (s->cols - 1)) / s->pitch);
}

static bitdrop_2d with_defaults(const bitdrop_2d *shape)
{
    bitdrop_2d s = *shape;

    if (s.pitch == 0)
        s.pitch = s.cols;
    if (s.x_stride == 0)
        s.x_stride = s.cols;
    if (s.y_stride == 0)
        s.y_stride = s.cols;
    if (s.mask_stride == 0)
        s.mask_stride = bitdrop_mask_bytes(s.cols);
    return s;
}

/* s has its defaults filled in. */
static bitdrop_status check_memory(const struct call *call, const bitdrop_2d *s)
{
    const size_t size = dtype_bytes[call->dtype];
    struct span x = {0}, y = {0}, mask = {0};

    if (s->pitch < s->cols || s->x_stride < s->cols || s->y_stride < s->cols ||
        s->mask_stride < bitdrop_mask_bytes(s->cols))
        return BITDROP_ERR_RANGE;
    if (s->rows == 0 || s->cols == 0)
        return BITDROP_OK;
    if (generates(call->op) && !indices_fit(call->cfg->offset, s))
        return BITDROP_ERR_RANGE;
    if (has_data(call->op) && (!span_make(&x, call->x, s->rows, s->cols, s->x_stride, size) ||
                               !span_make(&y, call->y, s->rows, s->cols, s->y_stride, size)))
        return BITDROP_ERR_RANGE;
    if (has_mask(call->op) &&
        !span_make(&mask, mask_of(call), s->rows, bitdrop_mask_bytes(s->cols), s->mask_stride, 1))
        return BITDROP_ERR_RANGE;

    if (has_data(call->op) && !spans_same(&x, &y) && spans_overlap(&x, &y))
        return BITDROP_ERR_OVERLAP;
    if (has_data(call->op) && has_mask(call->op) &&
        (spans_overlap(&mask, &x) || spans_overlap(&mask, &y)))
        return BITDROP_ERR_OVERLAP;
    return BITDROP_OK;
}

/* A matrix without gaps, in data, indices and mask bits, is one row. */
static void flatten(const struct call *call, bitdrop_2d *s)
{
    if (s->rows == 1)
        return;
    if (has_data(call->op) && (s->x_stride != s->cols || s->y_stride != s->cols))
        return;
    if (generates(call->op) && s->pitch != s->cols)
        return;
    if (has_mask(call->op) && (s->cols % 8 != 0 || s->mask_stride != s->cols / 8))
        return;
    if (s->rows > SIZE_MAX / s->cols) /* a mask alone may have more bits than fit in a size_t */
        return;
    s->cols *= s->rows;
    s->rows = 1;
}

/*
 * At p = 1 neither a division by 0 nor a product with infinity is computed in vain, for either may
 * be trapped.
 */
static double scale_of(const struct call *call)
{
    const bitdrop_config *cfg = call->cfg;

    if (call->op == INFER)
        return 1 - cfg->p;
    if (cfg->scaling == BITDROP_SCALE_INFER)
        return 1;
    if (cfg->p < 1)
        return 1 / (1 - cfg->p);
    return call->op == BACKWARD ? INFINITY : 1; /* what is generated at p = 1 keeps nothing */
}

enum { PREFETCHED_BYTES = 1 << 20 }; /* of y at least: what is smaller is likely to be in L2 */

static bool streams(const struct call *call, const bitdrop_2d *s)
{
    if ((uintptr_t)call->y % dtype_bytes[call->dtype] != 0) /* no vector of y is aligned */
        return false;
    if (call->cfg->stores != BITDROP_STORES_AUTO)
        return call->cfg->stores == BITDROP_STORES_STREAMING;
    return call->x != call->y && /* what lies in memory fits in a size_t */
           s->rows * s->cols * dtype_bytes[call->dtype] >= bitdrop_streaming_bytes() / 2;
}

static void copy_rows(const struct bitdrop_job *job)
{
    if (job->x == job->y)
        return;
    for (size_t r = 0; r < job->rows; r++)
        memcpy(job->y + r * job->y_stride, job->x + r * job->x_stride, job->cols * job->size);
}

static void zero_rows(const struct bitdrop_job *job)
{
    for (size_t r = 0; r < job->rows; r++)
        memset(job->y + r * job->y_stride, 0, job->cols * job->size);
}

static bitdrop_kernel *kernel_of(const struct call *call, const struct bitdrop_kernels *kernels)
{
    if (call->op == MASK)
        return kernels->mask;
    if (generates(call->op))
        return kernels->forward[call->dtype];
    if (call->op == INFER && call->cfg->scaling == BITDROP_SCALE_TRAIN)
        return copy_rows;
    if (call->op == INFER && call->cfg->p == 1)
        return zero_rows;
    return kernels->backward[call->dtype]; /* so is inference, which keeps all */
}

static void run(const struct call *call, const bitdrop_2d *s, const struct bitdrop_kernels *kernels)
{
    const bitdrop_config *cfg = call->cfg;
    const size_t size = dtype_bytes[call->dtype];
    const double scale = scale_of(call);
    const bool streaming = streams(call, s);
    struct bitdrop_stream stream;
    const struct bitdrop_job job = {
        .rows = s->rows,
        .cols = s->cols,
        .offset = cfg->offset,
        .pitch = s->pitch,
        .x = call->x,
        .y = call->y,
        .mask = call->mask,
        .keep = call->keep,
        .x_stride = s->x_stride * size,
        .y_stride = s->y_stride * size,
        .mask_stride = s->mask_stride,
        .size = has_data(call->op) ? size : 0,
        .scale = scale,
        .scale_f32 = (float)scale,
        .streaming = streaming,
        .prefetch =
            (streaming || s->rows * s->cols * size >= PREFETCHED_BYTES) && bitdrop_prefetches(),
        .stream = &stream,
    };

    if (generates(call->op))
        stream = bitdrop_stream_make(cfg->seed, cfg->stream, cfg->rounds == 7 ? 7 : 10, cfg->p);
    bitdrop_share_out(&job, kernel_of(call, kernels), cfg->parallel);
}

static bitdrop_status check_and_run(const struct call *call)
{
    const struct bitdrop_kernels *kernels;
    bitdrop_status status = check_pointers(call);

    if (status == BITDROP_OK)
        status = check_config(call->cfg);
    if (status != BITDROP_OK)
        return status;
    if ((unsigned)call->dtype >= BITDROP_DTYPE_COUNT)
        return BITDROP_ERR_DTYPE;
    kernels = bitdrop_kernels_for(call->cfg->isa, call->shape);
    if (kernels == NULL)
        return BITDROP_ERR_ISA;

    bitdrop_2d shape = with_defaults(call->shape);
    status = check_memory(call, &shape);
    if (status != BITDROP_OK || shape.rows == 0 || shape.cols == 0)
        return status;
    flatten(call, &shape);
    run(call, &shape, kernels);
    return BITDROP_OK;
}

bitdrop_status bitdrop_mask_2d(const bitdrop_config *cfg, const bitdrop_2d *shape, uint8_t *mask)
{
    return check_and_run(&(struct call){.op = MASK, .cfg = cfg, .shape = shape, .mask = mask});
}

bitdrop_status bitdrop_forward_2d(const bitdrop_config *cfg, bitdrop_dtype t,
                                  const bitdrop_2d *shape, const void *x, void *y, uint8_t *mask)
{
    return check_and_run(&(struct call){FORWARD, cfg, t, shape, x, y, .mask = mask});
}

bitdrop_status bitdrop_backward_2d(const bitdrop_config *cfg, bitdrop_dtype t,
                                   const bitdrop_2d *shape, const void *dy, void *dx,
                                   const uint8_t *mask)
{
    return check_and_run(&(struct call){BACKWARD, cfg, t, shape, dy, dx, .keep = mask});
}

bitdrop_status bitdrop_recompute_2d(const bitdrop_config *cfg, bitdrop_dtype t,
                                    const bitdrop_2d *shape, const void *x, void *y)
{
    return check_and_run(&(struct call){RECOMPUTE, cfg, t, shape, x, y, .mask = NULL});
}

bitdrop_status bitdrop_infer_2d(const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape,
                                const void *x, void *y)
{
    return check_and_run(&(struct call){INFER, cfg, t, shape, x, y, .mask = NULL});
}

bitdrop_status bitdrop_mask(const bitdrop_config *cfg, size_t n, uint8_t *mask)
{
    return bitdrop_mask_2d(cfg, &(bitdrop_2d){.rows = 1, .cols = n}, mask);
}

bitdrop_status bitdrop_forward(const bitdrop_config *cfg, bitdrop_dtype t, size_t n, const void *x,
                               void *y, uint8_t *mask)
{
    return bitdrop_forward_2d(cfg, t, &(bitdrop_2d){.rows = 1, .cols = n}, x, y, mask);
}

bitdrop_status bitdrop_backward(const bitdrop_config *cfg, bitdrop_dtype t, size_t n,
                                const void *dy, void *dx, const uint8_t *mask)
{
    return bitdrop_backward_2d(cfg, t, &(bitdrop_2d){.rows = 1, .cols = n}, dy, dx, mask);
}

bitdrop_status bitdrop_recompute(const bitdrop_config *cfg, bitdrop_dtype t, size_t n,
                                 const void *x, void *y)
{
    return bitdrop_recompute_2d(cfg, t, &(bitdrop_2d){.rows = 1, .cols = n}, x, y);
}

bitdrop_status bitdrop_infer(const bitdrop_config *cfg, bitdrop_dtype t, size_t n, const void *x,
                             void *y)
{
    return bitdrop_infer_2d(cfg, t, &(bitdrop_2d){.rows = 1, .cols = n}, x, y);
}

size_t bitdrop_mask_bytes(size_t n) { return n / 8 + (n % 8 != 0); }

const char *bitdrop_status_string(bitdrop_status status)
{
    switch (status) {
    case BITDROP_OK:
        return "success";
    case BITDROP_ERR_NULL:
        return "the config, the shape or a buffer is NULL; pass one wherever there are elements";
    case BITDROP_ERR_PROBABILITY:
        return "p must lie in [0, 1]";
    case BITDROP_ERR_CONFIG:
        return "set rounds to 0, 7 or 10, scaling and stores to a listed value, parallel to NULL or "
               "to one with run and tasks, and reserved to 0; zero-initialise the config";
    case BITDROP_ERR_DTYPE:
        return "the dtype must be BITDROP_F32, _F64, _F16 or _BF16";
    case BITDROP_ERR_ISA:
        return "the ISA asked for by the config or by the variable BITDROP_ISA is unknown, not "
               "built in, or not run by this CPU; choose one that bitdrop_isa_supported() accepts";
    case BITDROP_ERR_RANGE:
        return "offset + n must not pass 2^64, the elements must fit in the address space, and "
               "strides and pitch must not be below the row they step over";
    case BITDROP_ERR_OVERLAP:
        return "input and output must be the same buffer or disjoint, and the mask apart from both";
    }
    return "unknown status";
}

#define STRING_(x) #x
#define STRING(x) STRING_(x)

const char *bitdrop_version(void)
{
    return STRING(BITDROP_VERSION_MAJOR) "." STRING(BITDROP_VERSION_MINOR) "." STRING(
        BITDROP_VERSION_PATCH);
}
