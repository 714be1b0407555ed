/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include "kernels.h"

static bitdrop_status run_2d(const struct call *c, const bitdrop_2d *shape)
{
    const bitdrop_config *cfg = c->cfg;
    const bitdrop_dtype t = c->dtype;
    const void *const *in = c->in;
    void *y = c->y, *prob = (void *)(uintptr_t)in[2];
    uint8_t *mask = c->mask;
    bitdrop_softmax with_bias = c->soft == NULL ? (bitdrop_softmax){0} : *c->soft;
    const bitdrop_softmax *soft = c->no_soft ? NULL : &with_bias;

    if (operation_row(c->op)->in[1] == IN_ROW_BIAS)
        with_bias.bias = in[1];
    switch (c->op) {
#define RUN(name, function, arguments, ...)                                                        \
    case OP_##name:                                                                                \
        return bitdrop_##function arguments;
        BITDROP_OPERATIONS(RUN)
#undef RUN
    default:
        return BITDROP_ERR_NULL;
    }
}

bitdrop_status call_run(const struct call *c)
{
    const bitdrop_config *cfg = c->cfg;
    const bitdrop_dtype t = c->dtype;
    const size_t n = c->n;
    const void *const *in = c->in;
    void *y = c->y;
    uint8_t *mask = c->mask;

    if (!c->flat)
        return run_2d(c, c->shape);
    switch (c->op) {
#define RUN(name, arguments)                                                                       \
    case OP_##name:                                                                                \
        return bitdrop_##name arguments;
        BITDROP_FLAT_OPERATIONS(RUN)
#undef RUN
    default:
        return run_2d(c, &(bitdrop_2d){.rows = 1, .cols = n});
    }
}

/* A row of BITDROP_BODIES. */
struct body {
    int inputs;
    bool marks, of_rows;
};

static struct body body_of(enum bitdrop_body body)
{
#define BODY(name, inputs, generator, marks)                                                       \
    {inputs, marks, GENERATOR_##generator == GENERATOR_WHOLE_ROWS},
    static const struct body bodies[] = {BITDROP_BODIES(BODY){0, false, false}};

    return bodies[body];
}

const struct bitdrop_operation_row *operation_row(enum bitdrop_operation op)
{
    static const struct bitdrop_operation_row rows[] = {BITDROP_OPERATIONS(BITDROP_OPERATION_ROW)};

    return &rows[op];
}

const char *operation_name(enum bitdrop_operation op) { return operation_row(op)->name; }

bool operation_has_data(enum bitdrop_operation op) { return operation_row(op)->body != BODY_NONE; }

bool operation_has_mask(enum bitdrop_operation op)
{
    const enum bitdrop_bits bits = operation_row(op)->bits;

    return bits == BITS_WRITTEN || bits == BITS_READ;
}

bool operation_uses_mask(enum bitdrop_operation op, unsigned mask_use)
{
    return operation_has_mask(op) && (mask_use != BITDROP_MASK_REMADE || !operation_has_data(op));
}

bool operation_makes_bits(enum bitdrop_operation op, unsigned mask_use)
{
    const enum bitdrop_bits bits = operation_row(op)->bits;

    return bits == BITS_WRITTEN || bits == BITS_MADE || bits == BITS_NOISE ||
           (bits == BITS_READ && mask_use == BITDROP_MASK_REMADE);
}

double operation_p(enum bitdrop_operation op, double p)
{
    return operation_row(op)->bits == BITS_NOISE && p == 1 ? 0.75 : p;
}

bool operation_reads(enum bitdrop_operation op, unsigned mask_use, int i)
{
    const struct bitdrop_operation_row *row = operation_row(op);
    const bool stored = row->bits == BITS_READ && mask_use != BITDROP_MASK_REMADE;

    return row->in[i] != IN_NONE && i < body_of(stored ? row->stored_body : row->body).inputs;
}

bool operation_marks(enum bitdrop_operation op)
{
    const struct bitdrop_operation_row *row = operation_row(op);

    return body_of(row->body).marks || (row->bits == BITS_READ && row->stored_body != row->body);
}

bool operation_of_rows(enum bitdrop_operation op)
{
    return body_of(operation_row(op)->body).of_rows;
}

const char *dtype_name(bitdrop_dtype t)
{
#define DTYPE_NAME(name, bytes) #name,
    static const char *const names[] = {BITDROP_DTYPES(DTYPE_NAME)};

    return names[t];
}

size_t dtype_bytes(bitdrop_dtype t)
{
#define DTYPE_BYTES(name, bytes) bytes,
    static const size_t sizes[] = {BITDROP_DTYPES(DTYPE_BYTES)};

    return sizes[t];
}
