/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses a call, and the places of its buffers. */
#include "operation_call.h"

#include "tests/layout.h"
#include "tests/softmax.h"

/* First, a legal call without its buffers. */

static size_t choose_length(struct fuzz_input *in, size_t most)
{
    const size_t kind = fuzz_below(in, 64);

    if (kind < 40)
        return 1 + fuzz_below(in, 64);
    if (kind < 56)
        return 1 + fuzz_below(in, 700);
    if (kind < 62)
        return 1 + fuzz_below(in, 9000);
    if (kind == 62)
        return 0;
    return 1 + fuzz_below(in, most);
}

static size_t choose_stride(struct fuzz_input *in, size_t least)
{
    return fuzz_once_in(in, 2) ? least + fuzz_below(in, 64) : 0;
}

static void choose_shape(struct fuzz_input *in, struct operation *o)
{
    bitdrop_2d *s = &o->shape;

    s->cols = choose_length(in, MOST_ELEMENTS);
    s->rows = 1 + fuzz_below(in, fuzz_once_in(in, 4) ? 200 : 6);
    if (s->rows * s->cols > MOST_ELEMENTS)
        s->rows = 1;
    if (fuzz_once_in(in, 8)) {
        const size_t rows = s->rows;

        s->rows = s->cols;
        s->cols = rows;
    }
    s->unit = fuzz_once_in(in, 4) ? BITDROP_EACH_ROW : BITDROP_EACH_ELEMENT;
    s->mask_repeat = fuzz_below(in, 5);
    s->first_row = fuzz_once_in(in, 2) ? fuzz_below(in, 64) : 0;
    s->x_stride = choose_stride(in, s->cols);
    s->y_stride = choose_stride(in, s->cols);
    s->z_stride = choose_stride(in, s->cols);
    if (s->unit == BITDROP_EACH_ELEMENT)
        s->pitch = choose_stride(in, s->cols);
    if (s->unit == BITDROP_EACH_ELEMENT || o->marks)
        s->mask_stride = choose_stride(in, bitdrop_mask_bytes(s->cols));
}

static void choose_softmax(struct fuzz_input *in, struct operation *o)
{
    static const double scales[] = {0, 1, -0.5, 0.125};
    bitdrop_softmax *s = &o->soft;

    s->scale = scales[fuzz_below(in, 4)];
    s->bias_stride = choose_stride(in, o->shape.cols);
    s->bias_block = fuzz_below(in, 9);
    s->bias_repeat = fuzz_below(in, 4);
    if (fuzz_once_in(in, 2)) {
        s->causal_rows = 1 + fuzz_below(in, 32);
        s->causal_first = (int64_t)fuzz_below(in, 64) - 24;
    }
}

/* Chooses the input that y is, or that prob is x. Both get the same stride. */
static void choose_in_place(struct fuzz_input *in, struct operation *o)
{
    o->place = (int)fuzz_below(in, INPUTS);
    switch (kind_of(o, o->place)) {
    case IN_FIRST:
        o->shape.x_stride = o->shape.y_stride;
        break;
    case IN_PROB:
        o->shape.x_stride = o->shape.z_stride;
        break;
    case IN_THIRD:
    case IN_THIRD_OR_NULL:
        o->shape.z_stride = o->shape.y_stride;
        break;
    default:
        o->in_place = false;
    }
}

/* Changes one of the structs, or another argument. */
static void choose_fault(struct fuzz_input *in, struct operation *o)
{
    switch (fuzz_below(in, 8)) {
    case 0:
    case 1:
        fuzz_change_config(in, &o->cfg);
        break;
    case 2:
    case 3:
        fuzz_change(in, &o->shape, sizeof o->shape);
        break;
    case 4:
        fuzz_change(in, &o->soft, sizeof o->soft);
        break;
    case 5:
        o->call.n = (size_t)fuzz_number(in);
        break;
    case 6:
        o->call.dtype = (bitdrop_dtype)fuzz_number(in);
        break;
    default:
        switch (fuzz_below(in, 4)) {
        case 0:
            o->call.cfg = NULL;
            break;
        case 1:
            o->call.shape = NULL;
            break;
        case 2:
            o->call.no_soft = true;
            break;
        default:
            o->act.wrong = o->call.op == OP_forward_gelu || o->call.op == OP_backward_gelu;
            o->act.value = (bitdrop_activation)fuzz_number(in);
            if (o->act.value >= BITDROP_RELU && o->act.value <= BITDROP_SILU)
                o->act.wrong = false;
        }
    }
}

static void choose_call(struct fuzz_input *in, struct operation *o)
{
    const bitdrop_parallel *parallel = fuzz_parallel(in, &o->parallel);

    o->call.op = (enum bitdrop_operation)fuzz_below(in, BITDROP_OPERATION_COUNT);
    o->call.dtype = (bitdrop_dtype)fuzz_below(in, BITDROP_DTYPE_COUNT);
    o->call.flat = fuzz_once_in(in, 4);
    o->marks = operation_marks(o->call.op);
    o->of_rows = operation_of_rows(o->call.op);
    choose_shape(in, o);
    o->call.n = o->shape.cols;
    o->filled = layout_filled(&o->shape);
    o->cfg = fuzz_config(in, o->call.flat ? o->call.n : layout_indices(&o->filled));
    o->cfg.mask_use = (uint8_t)fuzz_below(in, 2);
    o->cfg.p = operation_p(o->call.op, o->cfg.p);
    if (o->of_rows)
        choose_softmax(in, o);
    o->in_place = fuzz_once_in(in, 3);
    if (o->in_place)
        choose_in_place(in, o);
    o->call.cfg = &o->cfg;
    o->call.shape = &o->shape;
    for (size_t faults = fuzz_once_in(in, 3) ? 1 + fuzz_below(in, 2) : 0; faults > 0; faults--)
        choose_fault(in, o);
    o->cfg.parallel = parallel;
    o->soft.bias = o->soft.lse = NULL;
    o->call.soft = &o->soft;
    o->every_isa = o->cfg.isa == BITDROP_ISA_AUTO;
    if (o->act.wrong)
        o->call.flat = false;
    if (o->call.flat)
        o->shape = (bitdrop_2d){.rows = 1, .cols = o->call.n};
    o->filled = layout_filled(&o->shape);
    o->size = (size_t)o->call.dtype < BITDROP_DTYPE_COUNT ? dtype_bytes(o->call.dtype) : 1;
}

/* Then, the buffers. */

/* How many rows the bias has, up to the last one that is read; at most SIZE_MAX. */
static size_t bias_rows(const struct operation *o)
{
    struct softmax_row row = {.soft = &o->soft, .first_row = o->filled.first_row};
    uint64_t last = 0, period;

    if (__builtin_mul_overflow(o->soft.bias_block,
                               o->soft.bias_repeat == 0 ? 1 : o->soft.bias_repeat, &period))
        return 1;
    for (size_t r = 0; r < o->filled.rows && r < MOST_ELEMENTS; r++) {
        row.R = o->filled.first_row + r;
        const uint64_t at = softmax_bias_row(&row);

        last = at > last ? at : last;
    }
    return last >= SIZE_MAX ? SIZE_MAX : (size_t)last + 1;
}

static void describe_buffers(struct operation *o)
{
    const bitdrop_2d *s = &o->filled;
    const struct layout_mask m = layout_mask(s, o->marks);

    for (int i = 0; i < INPUTS; i++) {
        const enum bitdrop_input kind = kind_of(o, i);

        if (kind == IN_BIAS)
            o->b[i] = fuzz_matrix(1, s->cols, 0, o->size);
        else if (kind == IN_ROW_BIAS)
            o->b[i] =
                fuzz_matrix(bias_rows(o), s->cols,
                            o->soft.bias_stride == 0 ? s->cols : o->soft.bias_stride, o->size);
        else
            o->b[i] = fuzz_matrix(s->rows, s->cols, kind == IN_FIRST ? s->x_stride : s->z_stride,
                                  o->size);
        o->b[i].used = operation_reads(o->call.op, o->cfg.mask_use, i);
        o->b[i].written = kind == IN_PROB;
    }
    o->b[Y] = fuzz_matrix(s->rows, s->cols, s->y_stride, o->size);
    o->b[Y].used = operation_has_data(o->call.op);
    o->b[Y].written = true;
    o->b[MASK] = fuzz_matrix(m.rows, m.bytes, m.stride, 1);
    o->b[MASK].used = operation_uses_mask(o->call.op, o->cfg.mask_use);
    o->b[MASK].written = operation_row(o->call.op)->bits == BITS_WRITTEN;
    o->b[LSE] = fuzz_matrix(1, s->rows, 0, o->call.dtype == BITDROP_F64 ? 8 : 4);
    o->b[LSE].used = o->of_rows && operation_row(o->call.op)->bits == BITS_WRITTEN;
    o->b[LSE].written = true;
}

static void place(struct fuzz_input *in, struct operation *o)
{
    const bool no_mask = !fuzz_once_in(in, 64), any_alignment = fuzz_once_in(in, 4);

    describe_buffers(o);
    for (int i = 0; i < BUFFERS && any_alignment; i++)
        o->b[i].alignment = 1;
    memory_place(in, o->b, BUFFERS);
    if (o->in_place && kind_of(o, o->place) == IN_PROB)
        o->b[o->place].at = o->b[0].at;
    else if (o->in_place)
        o->b[Y].at = o->b[o->place].at;
    if (!o->b[MASK].used && no_mask)
        o->b[MASK].at = NULL;
    for (int i = 0; i < INPUTS; i++)
        o->call.in[i] = o->b[i].at;
    o->call.y = o->b[Y].at;
    o->call.mask = o->b[MASK].at;
    o->soft.lse = o->b[LSE].at;
}

void operation_choose(struct fuzz_input *in, struct operation *o)
{
    choose_call(in, o);
    place(in, o);
}
