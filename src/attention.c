/* SPDX-License-Identifier: Apache-2.0 */
/* The exported calls of attention: check their arguments, make a job of them, and run it. */
#include "exact.h"

#include <math.h>

#include "arguments.h"
#include "attention_job.h"
#include "dispatch.h"
#include "parallel.h"
#include "region.h"

/* The arguments of either call. Those that the forward call does not have are NULL. */
struct call {
    const bitdrop_config *cfg;
    bitdrop_dtype dtype;
    const bitdrop_attention *a;
    const void *dout, *q, *k, *v;
    const void *out, *lse; /* the forward call writes them */
    void *dq, *dk, *dv;
    const uint8_t *mask; /* the forward call writes it */
    void *scratch;
    bool backward;
};

/* A member that is 0 stands for its default. */
static size_t or_else(size_t value, size_t by_default) { return value == 0 ? by_default : value; }

static size_t kv_heads(const bitdrop_attention *a) { return or_else(a->kv_heads, a->heads); }
static size_t v_dim(const bitdrop_attention *a) { return or_else(a->v_dim, a->dim); }

static bool has_elements(const bitdrop_attention *a)
{
    return a->batch > 0 && a->heads > 0 && a->queries > 0 && a->keys > 0 && a->dim > 0;
}

static bool makes_bits(const struct call *c)
{
    const bool remade = c->cfg->mask_use == BITDROP_MASK_REMADE;

    return remade ? c->cfg->p > 0 : !c->backward;
}

static bitdrop_status check_attention_pointers(const struct call *c)
{
    if (c->cfg == NULL || c->a == NULL)
        return BITDROP_ERR_NULL;
    const bool remade = c->cfg->mask_use == BITDROP_MASK_REMADE;

    if (remade && c->mask != NULL)
        return BITDROP_ERR_NULL;
    if (!has_elements(c->a))
        return BITDROP_OK;
    if (c->q == NULL || c->k == NULL || c->v == NULL || c->out == NULL || c->scratch == NULL ||
        (!remade && c->mask == NULL))
        return BITDROP_ERR_NULL;
    if (c->backward &&
        (c->dout == NULL || c->lse == NULL || c->dq == NULL || c->dk == NULL || c->dv == NULL))
        return BITDROP_ERR_NULL;
    return BITDROP_OK;
}

/* Checks the rows of the status table from BITDROP_ERR_PROBABILITY to BITDROP_ERR_DTYPE. */
static bitdrop_status check_attention_values(const bitdrop_config *cfg, bitdrop_dtype t,
                                             const bitdrop_attention *a)
{
    const bitdrop_status status = check_config(cfg);

    if (status != BITDROP_OK)
        return status;
    if (a->scale - a->scale != 0 || a->causal > 1 || a->flags != 0 ||
        (a->causal == 0 && a->causal_first != 0) ||
        (a->reserved[0] | a->reserved[1] | a->reserved[2] | a->reserved[3]) != 0)
        return BITDROP_ERR_CONFIG;
    return (unsigned)t < BITDROP_DTYPE_COUNT ? BITDROP_OK : BITDROP_ERR_DTYPE;
}

/* *sum = a * b + c. False if that does not fit. */
static bool mul_add(uint64_t a, uint64_t b, uint64_t c, uint64_t *sum)
{
    return !__builtin_mul_overflow(a, b, sum) && !__builtin_add_overflow(*sum, c, sum);
}

/* Whether the last index is at most 2^64 - 1. */
static bool attention_indices_fit(uint64_t offset, const bitdrop_attention *a)
{
    uint64_t last = a->batch - 1;

    return mul_add(last, or_else(a->index_heads, a->heads), a->heads - 1, &last) &&
           mul_add(last, or_else(a->index_queries, a->queries), a->queries - 1, &last) &&
           mul_add(last, or_else(a->index_keys, a->keys), a->keys - 1, &last) &&
           last <= UINT64_MAX - offset;
}

/*
 * Checks the sizes of a call that has elements. The last two conditions keep all sizes that are
 * computed later, those of scratch memory too, from overflowing.
 */
static bool sizes_are_right(const bitdrop_attention *a)
{
    const double most = (double)(SIZE_MAX / 2); /* bytes of scratch memory, or scores */
    const double keys = (double)a->keys + 64, queries = (double)a->queries + 64;
    const double dims = (double)a->dim + (double)v_dim(a) + 128;
    const double heads = (double)a->batch * (double)a->heads;

    return a->heads % kv_heads(a) == 0 && or_else(a->index_heads, a->heads) >= a->heads &&
           or_else(a->index_queries, a->queries) >= a->queries &&
           or_else(a->index_keys, a->keys) >= a->keys &&
           64 * (heads + 1) * (keys + queries) * dims < most && heads * queries * keys < most;
}

static void dense(size_t strides[3], size_t heads, size_t rows, size_t cols)
{
    strides[0] = heads * rows * cols;
    strides[1] = rows * cols;
    strides[2] = cols;
}

/* Strides in elements, with defaults filled in. False if a row begins before another ends. */
static bool strides_of(size_t strides[3], const size_t given[3], size_t heads, size_t rows,
                       size_t cols)
{
    const bool all_0 = (given[0] | given[1] | given[2]) == 0;

    for (int i = 0; i < 3; i++)
        strides[i] = given[i];
    if (all_0)
        dense(strides, heads, rows, cols);
    return rows == 1 || strides[2] >= cols;
}

/* The buffers of a call. Those that the call writes come first. */
struct buffers {
    struct region region[16];
    size_t count, written;
};

/* Adds a buffer, unless it is NULL. False if it reaches past the end of the address space. */
static bool add_buffer(struct buffers *b, const void *at, const size_t count[3],
                       const size_t strides[3], size_t cols, size_t size)
{
    return at == NULL || region_make(&b->region[b->count++], at, count, strides, cols, size);
}

static bool add_bytes(struct buffers *b, const void *at, size_t bytes)
{
    const size_t one[3] = {1, 1, 1}, none[3] = {0, 0, 0};

    return add_buffer(b, at, one, none, bytes, 1);
}

/* Strides of a call in elements, with defaults filled in. */
struct strides {
    size_t q[3], k[3], v[3], out[3];
};

static bool set_strides(struct strides *s, const bitdrop_attention *a)
{
    return strides_of(s->q, a->q_strides, a->heads, a->queries, a->dim) &&
           strides_of(s->k, a->k_strides, kv_heads(a), a->keys, a->dim) &&
           strides_of(s->v, a->v_strides, kv_heads(a), a->keys, v_dim(a)) &&
           strides_of(s->out, a->out_strides, a->heads, a->queries, v_dim(a)) &&
           (a->bias_strides[2] == 0 || a->bias_strides[2] >= a->keys);
}

static bool add_buffers(struct buffers *b, const struct call *c, const struct strides *s,
                        size_t scratch_bytes)
{
    const bitdrop_attention *a = c->a;
    const size_t size = dtype_bytes[c->dtype], rows = a->batch * a->heads * a->queries;
    const size_t lse_bytes = rows * (size == 8 ? 8 : 4), mask_bytes = rows * bytes_of_bits(a->keys);
    const size_t of_q[3] = {a->batch, a->heads, a->queries};
    const size_t of_k[3] = {a->batch, kv_heads(a), a->keys};
    bool fits = add_bytes(b, c->scratch, scratch_bytes);

    if (c->backward)
        fits = fits && add_buffer(b, c->dq, of_q, s->q, a->dim, size) &&
               add_buffer(b, c->dk, of_k, s->k, a->dim, size) &&
               add_buffer(b, c->dv, of_k, s->v, v_dim(a), size);
    else
        fits = fits && add_buffer(b, c->out, of_q, s->out, v_dim(a), size) &&
               add_bytes(b, c->lse, lse_bytes) && add_bytes(b, c->mask, mask_bytes);
    b->written = b->count;
    if (c->backward)
        fits = fits && add_buffer(b, c->dout, of_q, s->out, v_dim(a), size) &&
               add_buffer(b, c->out, of_q, s->out, v_dim(a), size) &&
               add_bytes(b, c->lse, lse_bytes) && add_bytes(b, c->mask, mask_bytes);
    return fits && add_buffer(b, c->q, of_q, s->q, a->dim, size) &&
           add_buffer(b, c->k, of_k, s->k, a->dim, size) &&
           add_buffer(b, c->v, of_k, s->v, v_dim(a), size) &&
           add_buffer(b, a->bias, of_q, a->bias_strides, a->keys, size);
}

static bitdrop_status check_buffers(const struct call *c, const struct strides *s,
                                    size_t scratch_bytes)
{
    struct buffers b = {.count = 0};

    if (!add_buffers(&b, c, s, scratch_bytes))
        return BITDROP_ERR_RANGE;
    for (size_t i = 0; i < b.written; i++)
        if (!b.region[i].nested)
            return BITDROP_ERR_RANGE;
    for (size_t i = 0; i < b.written; i++)
        for (size_t j = i + 1; j < b.count; j++)
            if (regions_overlap(&b.region[i], &b.region[j]))
                return BITDROP_ERR_OVERLAP;
    return BITDROP_OK;
}

static struct bitdrop_heads heads_of(const void *at, const size_t strides[3], size_t size)
{
    return (struct bitdrop_heads){
        .at = (unsigned char *)(uintptr_t)at,
        .strides = {strides[0] * size, strides[1] * size, strides[2] * size}};
}

/* The scale of D. At p = 1 it has no effect, and 1 avoids 1/0 here and 0 * infinity later. */
static double scale_of_kept(const bitdrop_config *cfg)
{
    return cfg->scaling == BITDROP_SCALE_INFER || cfg->p == 1 ? 1 : 1 / (1 - cfg->p);
}

static const struct bitdrop_attention_kernels *kernels_of(bitdrop_dtype t,
                                                          const struct bitdrop_kernels *kernels)
{
    if (t == BITDROP_BF16 && kernels->attention_pairs != NULL && bitdrop_tuning()->bf16_pairs)
        return kernels->attention_pairs;
    return &kernels->attention[t];
}

/* The number of tasks: fewer if there are few scores, or few units for tasks to share. */
static size_t tasks_of(const struct bitdrop_attention_job *job)
{
    const size_t forward = bitdrop_attention_forward_units(job);
    const size_t backward = bitdrop_attention_backward_units(job);
    const double scores = (double)job->batch * (double)job->heads * (double)job->queries *
                          (double)job->keys / (double)BITDROP_TASK_ELEMENTS;

    if (job->parallel == NULL || scores < 2)
        return 1;
    const size_t most = smaller(job->parallel->tasks, larger(forward, backward));
    return scores < (double)most ? (size_t)scores : most;
}

/*
 * The job of a call whose arguments are right, without its buffers. That is enough to compute the
 * bytes of scratch memory.
 */
static struct bitdrop_attention_job job_of(const struct call *c,
                                           const struct bitdrop_kernels *kernels)
{
    const bitdrop_attention *a = c->a;
    const uint64_t pitch = or_else(a->index_keys, a->keys);
    const uint64_t in_head = pitch * or_else(a->index_queries, a->queries);

    struct bitdrop_attention_job job = {
        .kernels = kernels_of(c->dtype, kernels),
        .mask_rows = kernels->mask_rows,
        .size = dtype_bytes[c->dtype],
        .batch = a->batch,
        .heads = a->heads,
        .group = a->heads / kv_heads(a),
        .queries = a->queries,
        .keys = a->keys,
        .dim = a->dim,
        .v_dim = v_dim(a),
        .causal = a->causal == 1,
        .causal_first = a->causal_first,
        .x_scale = a->scale == 0 ? 1 / sqrt((double)a->dim) : a->scale,
        .y_scale = scale_of_kept(c->cfg),
        .bias = heads_of(a->bias, a->bias_strides, dtype_bytes[c->dtype]),
        .offset = c->cfg->offset,
        .pitch = pitch,
        .index_head = in_head,
        .index_sample = in_head * or_else(a->index_heads, a->heads),
        .mask_stride = bytes_of_bits(a->keys),
        .parallel = c->cfg->parallel,
    };

    job.tasks = tasks_of(&job);
    return job;
}

/* Bytes for either call, a multiple of the alignment. 0: the number does not fit in a size_t. */
static size_t scratch_bytes_of(const struct bitdrop_attention_job *job)
{
    const size_t forward = bitdrop_attention_forward_scratch(job);
    const size_t backward = bitdrop_attention_backward_scratch(job);

    return forward == 0 || backward == 0 ? 0
                                         : (larger(forward, backward) + SCRATCH_ALIGNMENT - 1) /
                                               SCRATCH_ALIGNMENT * SCRATCH_ALIGNMENT;
}

static bitdrop_status check_memory_and_run(const struct call *c,
                                           const struct bitdrop_kernels *kernels)
{
    const bitdrop_config *cfg = c->cfg;
    const size_t size = dtype_bytes[c->dtype];
    struct bitdrop_attention_job job;
    struct bitdrop_stream stream;
    struct strides s;
    size_t scratch_bytes;
    bitdrop_status status;

    if (!sizes_are_right(c->a) || !set_strides(&s, c->a) ||
        (uintptr_t)c->scratch % SCRATCH_ALIGNMENT != 0 ||
        (makes_bits(c) && !attention_indices_fit(cfg->offset, c->a)))
        return BITDROP_ERR_RANGE;
    job = job_of(c, kernels);
    scratch_bytes = scratch_bytes_of(&job);
    if (scratch_bytes == 0)
        return BITDROP_ERR_RANGE;
    status = check_buffers(c, &s, scratch_bytes);
    if (status != BITDROP_OK)
        return status;
    job.q = heads_of(c->q, s.q, size);
    job.k = heads_of(c->k, s.k, size);
    job.v = heads_of(c->v, s.v, size);
    job.out = heads_of(c->out, s.out, size);
    job.dout = heads_of(c->dout, s.out, size);
    job.dq = heads_of(c->dq, s.q, size);
    job.dk = heads_of(c->dk, s.k, size);
    job.dv = heads_of(c->dv, s.v, size);
    job.lse = (unsigned char *)(uintptr_t)c->lse;
    job.mask = (uint8_t *)(uintptr_t)c->mask;
    job.scratch = c->scratch;
    if (makes_bits(c)) {
        stream = bitdrop_stream_make(cfg->seed, cfg->stream, cfg->rounds == 7 ? 7 : 10, cfg->p);
        job.stream = &stream;
    }
    if (c->backward)
        bitdrop_attention_run_backward(&job);
    else
        bitdrop_attention_run_forward(&job);
    return BITDROP_OK;
}

static bitdrop_status run_attention(const struct call *c)
{
    const struct bitdrop_kernels *kernels;
    bitdrop_status status = check_attention_pointers(c);

    if (status == BITDROP_OK)
        status = check_attention_values(c->cfg, c->dtype, c->a);
    if (status != BITDROP_OK)
        return status;
    kernels = bitdrop_kernels_for(c->cfg->isa, SIZE_MAX, SIZE_MAX);
    if (kernels == NULL)
        return BITDROP_ERR_ISA;
    return has_elements(c->a) ? check_memory_and_run(c, kernels) : BITDROP_OK;
}

bitdrop_status bitdrop_attention_forward(const bitdrop_config *cfg, bitdrop_dtype t,
                                         const bitdrop_attention *a, const void *q, const void *k,
                                         const void *v, void *out, void *lse, uint8_t *mask,
                                         void *scratch)
{
    return run_attention(&(struct call){.cfg = cfg,
                                        .dtype = t,
                                        .a = a,
                                        .q = q,
                                        .k = k,
                                        .v = v,
                                        .out = out,
                                        .lse = lse,
                                        .mask = mask,
                                        .scratch = scratch});
}

bitdrop_status bitdrop_attention_backward(const bitdrop_config *cfg, bitdrop_dtype t,
                                          const bitdrop_attention *a, const void *dout,
                                          const void *q, const void *k, const void *v,
                                          const void *out, const void *lse, void *dq, void *dk,
                                          void *dv, const uint8_t *mask, void *scratch)
{
    return run_attention(&(struct call){.cfg = cfg,
                                        .dtype = t,
                                        .a = a,
                                        .dout = dout,
                                        .q = q,
                                        .k = k,
                                        .v = v,
                                        .out = out,
                                        .lse = lse,
                                        .dq = dq,
                                        .dk = dk,
                                        .dv = dv,
                                        .mask = mask,
                                        .scratch = scratch,
                                        .backward = true});
}

size_t bitdrop_attention_scratch_bytes(const bitdrop_config *cfg, bitdrop_dtype t,
                                       const bitdrop_attention *a)
{
    const struct call c = {.cfg = cfg, .dtype = t, .a = a};
    const struct bitdrop_kernels *kernels;
    struct bitdrop_attention_job job;
    struct strides s;

    if (cfg == NULL || a == NULL || check_attention_values(cfg, t, a) != BITDROP_OK ||
        !has_elements(a) || !sizes_are_right(a) || !set_strides(&s, a))
        return 0;
    kernels = bitdrop_kernels_for(cfg->isa, SIZE_MAX, SIZE_MAX);
    if (kernels == NULL)
        return 0;
    job = job_of(&c, kernels);
    return scratch_bytes_of(&job);
}
