/* SPDX-License-Identifier: Apache-2.0 */
/* The exported calls on data, bitdrop_mask, and the texts and sizes that the library returns. */
#include "exact.h"

#include "bitdrop/bitdrop.h"

#include "run_call.h"

/* For operations whose bits are READ: these do not write to the mask. */
static uint8_t *only_read(const uint8_t *mask) { return (uint8_t *)(uintptr_t)mask; }

/* Flat calls. Each has its own copy of all checks, most of which compilers decide in advance. */

bitdrop_status bitdrop_mask(const bitdrop_config *cfg, size_t n, uint8_t *mask)
{
    return run_call(&(struct bitdrop_call){
        .op = OP_mask, .cfg = cfg, .shape = &(bitdrop_2d){.rows = 1, .cols = n}, .mask = mask});
}

bitdrop_status bitdrop_forward(const bitdrop_config *cfg, bitdrop_dtype t, size_t n, const void *x,
                               void *y, uint8_t *mask)
{
    const bitdrop_2d row = {.rows = 1, .cols = n};

    return run_call(&(struct bitdrop_call){OP_forward, cfg, t, &row, {x}, y, mask, false, NULL});
}

bitdrop_status bitdrop_backward(const bitdrop_config *cfg, bitdrop_dtype t, size_t n,
                                const void *dy, void *dx, const uint8_t *mask)
{
    const bitdrop_2d row = {.rows = 1, .cols = n};

    return run_call(
        &(struct bitdrop_call){OP_backward, cfg, t, &row, {dy}, dx, only_read(mask), false, NULL});
}

bitdrop_status bitdrop_recompute(const bitdrop_config *cfg, bitdrop_dtype t, size_t n,
                                 const void *x, void *y)
{
    const bitdrop_2d row = {.rows = 1, .cols = n};

    return run_call(&(struct bitdrop_call){OP_recompute, cfg, t, &row, {x}, y, NULL, false, NULL});
}

bitdrop_status bitdrop_infer(const bitdrop_config *cfg, bitdrop_dtype t, size_t n, const void *x,
                             void *y)
{
    const bitdrop_2d row = {.rows = 1, .cols = n};

    return run_call(&(struct bitdrop_call){OP_infer, cfg, t, &row, {x}, y, NULL, false, NULL});
}

/* Calls on rows and columns. They share one copy of the checks. */

static __attribute__((noinline)) bitdrop_status run_2d(const struct bitdrop_call *call)
{
    return run_call(call);
}

bitdrop_status bitdrop_mask_2d(const bitdrop_config *cfg, const bitdrop_2d *shape, uint8_t *mask)
{
    return run_2d(&(struct bitdrop_call){.op = OP_mask, .cfg = cfg, .shape = shape, .mask = mask});
}

bitdrop_status bitdrop_forward_2d(const bitdrop_config *cfg, bitdrop_dtype t,
                                  const bitdrop_2d *shape, const void *x, void *y, uint8_t *mask)
{
    return run_2d(&(struct bitdrop_call){OP_forward, cfg, t, shape, {x}, y, mask, false, NULL});
}

bitdrop_status bitdrop_backward_2d(const bitdrop_config *cfg, bitdrop_dtype t,
                                   const bitdrop_2d *shape, const void *dy, void *dx,
                                   const uint8_t *mask)
{
    return run_2d(
        &(struct bitdrop_call){OP_backward, cfg, t, shape, {dy}, dx, only_read(mask), false, NULL});
}

bitdrop_status bitdrop_recompute_2d(const bitdrop_config *cfg, bitdrop_dtype t,
                                    const bitdrop_2d *shape, const void *x, void *y)
{
    return run_2d(&(struct bitdrop_call){OP_recompute, cfg, t, shape, {x}, y, NULL, false, NULL});
}

bitdrop_status bitdrop_infer_2d(const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape,
                                const void *x, void *y)
{
    return run_2d(&(struct bitdrop_call){OP_infer, cfg, t, shape, {x}, y, NULL, false, NULL});
}

bitdrop_status bitdrop_forward_add(const bitdrop_config *cfg, bitdrop_dtype t,
                                   const bitdrop_2d *shape, const void *x, const void *bias,
                                   const void *residual, void *y, uint8_t *mask)
{
    return run_2d(&(struct bitdrop_call){
        OP_forward_add, cfg, t, shape, {x, bias, residual}, y, mask, false, NULL});
}

bitdrop_status bitdrop_backward_add(const bitdrop_config *cfg, bitdrop_dtype t,
                                    const bitdrop_2d *shape, const void *dy, const void *residual,
                                    void *dx, const uint8_t *mask)
{
    return run_2d(&(struct bitdrop_call){
        OP_backward_add, cfg, t, shape, {dy, NULL, residual}, dx, only_read(mask), false, NULL});
}

struct activation {
    bool is_known;
    enum bitdrop_operation forward, backward;
};

/* An unknown activation counts as GELU, until check_values refuses it. */
static struct activation activation_of(bitdrop_activation act)
{
    switch (act) {
#define ACTIVATION(NAME, name)                                                                     \
    case BITDROP_##NAME:                                                                           \
        return (struct activation){true, OP_forward_##name, OP_backward_##name};
        BITDROP_ACTIVATIONS(ACTIVATION)
#undef ACTIVATION
    }
    return (struct activation){false, OP_forward_gelu, OP_backward_gelu};
}

bitdrop_status bitdrop_forward_act(const bitdrop_config *cfg, bitdrop_dtype t,
                                   const bitdrop_2d *shape, bitdrop_activation act, const void *x,
                                   const void *bias, void *y, uint8_t *mask)
{
    const struct activation a = activation_of(act);

    return run_2d(
        &(struct bitdrop_call){a.forward, cfg, t, shape, {x, bias}, y, mask, !a.is_known, NULL});
}

bitdrop_status bitdrop_backward_act(const bitdrop_config *cfg, bitdrop_dtype t,
                                    const bitdrop_2d *shape, bitdrop_activation act, const void *dy,
                                    const void *x, const void *bias, void *dx, const uint8_t *mask)
{
    const struct activation a = activation_of(act);

    return run_2d(&(struct bitdrop_call){
        a.backward, cfg, t, shape, {dy, x, bias}, dx, only_read(mask), !a.is_known, NULL});
}

bitdrop_status bitdrop_forward_alpha(const bitdrop_config *cfg, bitdrop_dtype t,
                                     const bitdrop_2d *shape, const void *x, void *y, uint8_t *mask)
{
    return run_2d(
        &(struct bitdrop_call){OP_forward_alpha, cfg, t, shape, {x}, y, mask, false, NULL});
}

bitdrop_status bitdrop_backward_alpha(const bitdrop_config *cfg, bitdrop_dtype t,
                                      const bitdrop_2d *shape, const void *dy, void *dx,
                                      const uint8_t *mask)
{
    return run_2d(&(struct bitdrop_call){
        OP_backward_alpha, cfg, t, shape, {dy}, dx, only_read(mask), false, NULL});
}

/* check_pointers refuses a soft that is NULL. */
static const void *bias_of(const bitdrop_softmax *soft) { return soft == NULL ? NULL : soft->bias; }

bitdrop_status bitdrop_forward_softmax(const bitdrop_config *cfg, bitdrop_dtype t,
                                       const bitdrop_2d *shape, const bitdrop_softmax *soft,
                                       const void *x, void *prob, void *y, uint8_t *mask)
{
    return run_2d(&(struct bitdrop_call){
        OP_forward_softmax, cfg, t, shape, {x, bias_of(soft), prob}, y, mask, false, soft});
}

bitdrop_status bitdrop_backward_softmax(const bitdrop_config *cfg, bitdrop_dtype t,
                                        const bitdrop_2d *shape, const bitdrop_softmax *soft,
                                        const void *dy, const void *prob, void *dx,
                                        const uint8_t *mask)
{
    return run_2d(&(struct bitdrop_call){
        OP_backward_softmax, cfg, t, shape, {dy, prob}, dx, only_read(mask), false, soft});
}

bitdrop_status bitdrop_gaussian(const bitdrop_config *cfg, bitdrop_dtype t, const bitdrop_2d *shape,
                                const void *x, void *y)
{
    return run_2d(&(struct bitdrop_call){OP_gaussian, cfg, t, shape, {x}, y, NULL, false, NULL});
}

const char *bitdrop_status_string(bitdrop_status status)
{
    switch (status) {
    case BITDROP_OK:
        return "success";
    case BITDROP_ERR_NULL:
        return "the config, the shape, soft, a, kept or a buffer is NULL, or a mask is given with "
               "BITDROP_MASK_REMADE; if there are elements pass all buffers that the call needs, "
               "and pass NULL for a mask that is made again";
    case BITDROP_ERR_PROBABILITY:
        return "p must lie in [0, 1], and below 1 for Gaussian dropout";
    case BITDROP_ERR_CONFIG:
        return "zero-initialise the structures; then set rounds to 0, 7 or 10, scaling, stores, "
               "mask_use, unit and the activation to a constant of the header, parallel to NULL or "
               "to one with run and at least one task, the scale of softmax or attention to a "
               "finite number, causal to 0 or 1, causal_first to 0 where causal_rows is 0 or "
               "causal is 0, and flags and reserved members to 0";
    case BITDROP_ERR_DTYPE:
        return "the dtype must be BITDROP_F32, _F64, _F16 or _BF16";
    case BITDROP_ERR_ISA:
        return "the ISA that the config or the variable BITDROP_ISA names is unknown, not built "
               "in, or not run by this CPU; choose one that bitdrop_isa_supported() accepts";
    case BITDROP_ERR_RANGE:
        return "offset + n and first_row + rows must be at most 2^64, the elements must fit in the "
               "address space, strides and pitch must not be shorter than their rows, and with "
               "BITDROP_EACH_ROW pitch and mask_stride must be 0; bias_block * bias_repeat must "
               "fit in a size_t, and a block of DropBlock in its plane; in attention kv_heads must "
               "divide heads, index_heads, index_queries and index_keys must be 0 or not below "
               "heads, queries and keys, rows of an output must not share bytes, and scratch must "
               "be aligned to 64 bytes";
    case BITDROP_ERR_OVERLAP:
        return "an output must be the same buffer as an input, with the same stride, or disjoint, "
               "and a written mask and a bias apart from all others; in attention each output and "
               "scratch must be disjoint from every other buffer";
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

const char *bitdrop_math(void)
{
#ifdef BITDROP_SLEEF
    return "sleef " BITDROP_SLEEF;
#else
    return "libm";
#endif
}

int bitdrop_version_number(void) { return BITDROP_VERSION_NUMBER; }

size_t bitdrop_sizeof_config(void) { return sizeof(bitdrop_config); }

size_t bitdrop_sizeof_2d(void) { return sizeof(bitdrop_2d); }

size_t bitdrop_sizeof_softmax(void) { return sizeof(bitdrop_softmax); }

size_t bitdrop_sizeof_parallel(void) { return sizeof(bitdrop_parallel); }

size_t bitdrop_sizeof_attention(void) { return sizeof(bitdrop_attention); }
