/* SPDX-License-Identifier: Apache-2.0 */
/* A second implementation of the status table of docs/reference.md. */
#include <math.h>

#include "operation_call.h"
#include "tests/layout.h"
#include "tests/softmax.h"

static bool needed(const struct operation *o, int i)
{
    return i == Y || i == MASK ||
           (i < INPUTS && (kind_of(o, i) == IN_FIRST || kind_of(o, i) == IN_THIRD));
}

static bitdrop_status pointer_status(const struct operation *o)
{
    if (o->call.cfg == NULL || (!o->call.flat && o->call.shape == NULL) ||
        (o->of_rows && o->call.no_soft))
        return BITDROP_ERR_NULL;
    if (operation_has_mask(o->call.op) && !o->b[MASK].used && o->call.mask != NULL)
        return BITDROP_ERR_NULL;
    for (int i = 0; i < BUFFERS && has_elements(o); i++)
        if (o->b[i].used && needed(o, i) && o->b[i].at == NULL)
            return BITDROP_ERR_NULL;
    return BITDROP_OK;
}

static bool values_are_right(const struct operation *o)
{
    const bitdrop_2d *s = &o->shape;

    if (s->unit > BITDROP_EACH_ROW || s->flags != 0 || s->reserved[0] != 0 || s->reserved[1] != 0 ||
        s->reserved[2] != 0 || o->act.wrong)
        return false;
    return !o->of_rows ||
           (isfinite(o->soft.scale) && o->soft.reserved[0] == 0 && o->soft.reserved[1] == 0 &&
            (o->soft.causal_first == 0 || o->soft.causal_rows != 0));
}

static bool strides_are_right(const struct operation *o)
{
    const bitdrop_2d *s = &o->filled, *given = &o->shape;
    size_t period;

    if (given->unit == BITDROP_EACH_ROW &&
        (given->pitch != 0 || (given->mask_stride != 0 && !o->marks)))
        return false;
    if (s->pitch < s->cols || s->x_stride < s->cols || s->y_stride < s->cols ||
        s->z_stride < s->cols || s->mask_stride < bitdrop_mask_bytes(s->cols))
        return false;
    return !o->of_rows ||
           (!__builtin_mul_overflow(o->soft.bias_block,
                                    o->soft.bias_repeat == 0 ? 1 : o->soft.bias_repeat, &period) &&
            (o->soft.bias_stride == 0 || o->soft.bias_stride >= s->cols));
}

static bool indices_fit(const struct operation *o)
{
    const bitdrop_2d *s = &o->filled;
    const uint64_t m = (s->first_row + (s->rows - 1)) / s->mask_repeat;
    uint64_t last;

    if (s->unit == BITDROP_EACH_ROW)
        return !__builtin_add_overflow(o->cfg.offset, m, &last);
    return !__builtin_mul_overflow(m, s->pitch, &last) &&
           !__builtin_add_overflow(last, s->cols - 1, &last) &&
           !__builtin_add_overflow(last, o->cfg.offset, &last);
}

/* Whether y may be input i, or prob x. They must have the same address, and if there are several
 * rows the same stride. */
static bool may_be_same(const struct operation *o, int output, int i)
{
    const enum bitdrop_input kind = i < INPUTS ? kind_of(o, i) : IN_NONE;
    const bool may = output == Y ? kind == IN_FIRST || kind == IN_THIRD || kind == IN_THIRD_OR_NULL
                                 : output < INPUTS && kind == IN_FIRST;

    return may && o->b[output].at == o->b[i].at &&
           (o->filled.rows == 1 || o->b[output].stride[2] == o->b[i].stride[2]);
}

static bool overlaps(const struct operation *o)
{
    for (int output = 0; output < BUFFERS; output++)
        for (int i = 0; i < BUFFERS; i++)
            if (o->b[output].written && fuzz_present(&o->b[output]) && fuzz_present(&o->b[i]) &&
                memory_shared((size_t)output, (size_t)i) && !may_be_same(o, output, i) &&
                !may_be_same(o, i, output))
                return true;
    return false;
}

/* The status without a check for overlaps. FUZZ_TOO_LARGE if a legal call would be too large. */
static int range_status(const struct operation *o)
{
    const bitdrop_2d *s = &o->filled;
    bool inside = true;

    if (!strides_are_right(o) || (s->rows > 0 && s->first_row > UINT64_MAX - (s->rows - 1)))
        return BITDROP_ERR_RANGE;
    if (!has_elements(o))
        return BITDROP_OK;
    if (operation_makes_bits(o->call.op, o->cfg.mask_use) && !indices_fit(o))
        return BITDROP_ERR_RANGE;
    for (int i = 0; i < BUFFERS; i++) {
        if (!fuzz_present(&o->b[i]))
            continue;
        inside &= fuzz_is_inside(&o->b[i]);
        if (!fuzz_fits(&o->b[i]) && (i >= INPUTS || kind_of(o, i) != IN_ROW_BIAS))
            return BITDROP_ERR_RANGE;
        if (!fuzz_fits(&o->b[i]))
            return s->rows > MOST_ELEMENTS ? FUZZ_TOO_LARGE : BITDROP_ERR_RANGE;
    }
    const struct layout_mask m = layout_mask(s, o->marks);
    /* Limits mask rows, not rows: rows that share one need no memory in a call for a mask. */
    return inside && m.rows <= MOST_ELEMENTS / m.bytes ? BITDROP_OK : FUZZ_TOO_LARGE;
}

static void own_bias(const struct operation *o, size_t i)
{
    struct softmax_row row = {.soft = &o->soft, .first_row = o->filled.first_row};

    for (size_t r = 0; r < o->filled.rows; r++) {
        row.R = o->filled.first_row + r;
        memory_own(i, o->b[i].at + (size_t)softmax_bias_row(&row) * o->b[i].stride[2],
                   o->b[i].bytes);
    }
}

int operation_status(const struct operation *o)
{
    int status = pointer_status(o);

    if (status == BITDROP_OK && operation_row(o->call.op)->bits == BITS_NOISE && o->cfg.p == 1)
        status = BITDROP_ERR_PROBABILITY;
    if (status == BITDROP_OK)
        status = (int)fuzz_config_status(&o->cfg);
    if (status == BITDROP_OK && !values_are_right(o))
        status = BITDROP_ERR_CONFIG;
    if (status == BITDROP_OK && operation_has_data(o->call.op) &&
        (size_t)o->call.dtype >= BITDROP_DTYPE_COUNT)
        status = BITDROP_ERR_DTYPE;
    if (status == BITDROP_OK && !bitdrop_isa_supported((bitdrop_isa)o->cfg.isa))
        status = BITDROP_ERR_ISA;
    if (status == BITDROP_OK)
        status = range_status(o);
    if (status != BITDROP_OK || !has_elements(o))
        return status;
    for (size_t i = 0; i < BUFFERS; i++)
        if (fuzz_present(&o->b[i]) && i < INPUTS && kind_of(o, (int)i) == IN_ROW_BIAS)
            own_bias(o, i);
        else if (fuzz_present(&o->b[i]))
            memory_own_rows(i, &o->b[i]);
    memory_find_shared();
    return overlaps(o) ? BITDROP_ERR_OVERLAP : BITDROP_OK;
}
