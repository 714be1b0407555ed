/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "case_running.h"
#include "layout.h"

bool running_reads_mask(const struct running *r)
{
    return operation_row(r->op)->bits == BITS_READ && r->stored;
}

bool running_writes_mask(const struct running *r)
{
    return operation_row(r->op)->bits == BITS_WRITTEN && r->stored;
}

static enum bitdrop_input kind_of(const struct running *r, int i)
{
    return operation_row(r->op)->in[i];
}

static bool is_matrix(const struct running *r, int i)
{
    return kind_of(r, i) != IN_BIAS && !r->null[i];
}

static void choose_in_place(struct running *r)
{
    const size_t drawn = check_below(r->c, INPUTS + 1); /* INPUTS: all of them */

    for (int i = 0; i < INPUTS; i++)
        r->in_place[i] = is_matrix(r, i) && (drawn == INPUTS || drawn == (size_t)i);
    if (!r->in_place[0] && !r->in_place[1] && !r->in_place[2])
        r->in_place[0] = is_matrix(r, 0);
    for (int i = 0; i < INPUTS; i++) {
        if (r->in_place[i] && kind_of(r, i) == IN_FIRST)
            r->shape.x_stride = r->shape.y_stride;
        else if (r->in_place[i])
            r->shape.z_stride = r->shape.y_stride;
    }
}

void running_choose(struct running *r)
{
    r->cfg.mask_use = check_below(r->c, 3) == 0 ? BITDROP_MASK_REMADE : BITDROP_MASK_STORED;
    r->stored = operation_uses_mask(r->op, r->cfg.mask_use);
    for (int i = 0; i < INPUTS; i++) {
        const bool optional = kind_of(r, i) == IN_BIAS || kind_of(r, i) == IN_THIRD_OR_NULL;

        r->null[i] =
            !operation_reads(r->op, r->cfg.mask_use, i) || (optional && check_below(r->c, 3) == 0);
        r->in_place[i] = false;
    }
    if (r->shape.unit == BITDROP_EACH_ROW && !r->marks)
        r->shape.mask_stride = 0;
    if (r->t->in_place && operation_has_data(r->op))
        choose_in_place(r);
    r->filled = layout_filled(&r->shape);
}

static size_t rows_of(const struct running *r, int i)
{
    return kind_of(r, i) == IN_BIAS && r->filled.rows > 0 ? 1 : r->filled.rows;
}

static size_t stride_of(const struct running *r, int i)
{
    return r->bytes * (kind_of(r, i) == IN_FIRST ? r->filled.x_stride : r->filled.z_stride);
}

/* Places the inputs, and a mask that is read, anywhere in one buffer, so that they may overlap. */
static void place_overlapping(struct running *r, struct guard guards[3])
{
    const struct layout_mask m = layout_mask(&r->filled, r->marks);
    const bool reads = running_reads_mask(r);
    size_t largest = reads ? rows_total(m.rows, m.bytes, m.stride) : 0, total;

    for (int i = 0; i < INPUTS; i++) {
        total =
            r->null[i] ? 0 : rows_total(rows_of(r, i), r->filled.cols * r->bytes, stride_of(r, i));
        largest = total > largest ? total : largest;
    }
    const size_t size = largest + check_below(r->c, 300) / r->bytes * r->bytes;
    const struct rows all = rows_new(guards, 1, size, size, r->t->in[0]);

    check_fill(r->c, r->dtype, rows_shadow(&all, 0), size / r->bytes);
    rows_settle(&all);
    for (int i = 0; i < INPUTS; i++) {
        if (r->null[i])
            continue;
        r->rows[i] = (struct rows){all.guard, all.at, rows_of(r, i), r->filled.cols * r->bytes,
                                   stride_of(r, i)};
        total = rows_total(r->rows[i].count, r->rows[i].bytes, r->rows[i].stride);
        r->rows[i].at += check_below(r->c, (size - total) / r->bytes + 1) * r->bytes;
    }
    if (reads) {
        r->mask = (struct rows){all.guard, all.at, m.rows, m.bytes, m.stride};
        r->mask.at += check_below(r->c, size - rows_total(m.rows, m.bytes, m.stride) + 1);
    }
}

static void place_apart(struct running *r, struct guard guards[INPUTS + 2][3])
{
    for (int i = 0; i < INPUTS; i++) {
        if (r->null[i])
            continue;
        if (r->in_place[i])
            r->rows[i] = r->y;
        else
            r->rows[i] = rows_new(guards[i], rows_of(r, i), r->filled.cols * r->bytes,
                                  stride_of(r, i), r->t->in[i]);
        for (size_t row = 0; row < r->rows[i].count; row++)
            check_fill(r->c, r->dtype, rows_shadow(&r->rows[i], row), r->filled.cols);
        rows_settle(&r->rows[i]);
    }
}

void running_place(struct running *r, struct guard guards[INPUTS + 2][3])
{
    const struct layout_mask m = layout_mask(&r->filled, r->marks);

    r->y = (struct rows){0};
    if (operation_has_data(r->op))
        r->y = rows_new(guards[INPUTS], r->filled.rows, r->filled.cols * r->bytes,
                        r->filled.y_stride * r->bytes, r->t->y);
    r->mask = (struct rows){0};
    if (r->stored)
        r->mask = rows_new(guards[INPUTS + 1], m.rows, m.bytes, m.stride, r->t->mask);
    for (size_t row = 0; row < r->mask.count && operation_row(r->op)->bits == BITS_READ; row++)
        for (size_t i = 0; i < m.bytes; i++)
            rows_shadow(&r->mask, row)[i] = (uint8_t)check_random(r->c);
    rows_settle(&r->mask);
    if (r->t->overlapping)
        place_overlapping(r, guards[0]);
    else
        place_apart(r, guards);
    for (int i = 0; i < INPUTS; i++) {
        /* An input that the call does not read may be NULL, or an address that faults. */
        r->in[i] = r->null[i] ? NULL : r->rows[i].at;
        if (!operation_reads(r->op, r->cfg.mask_use, i) && check_below(r->c, 2) == 0)
            r->in[i] = guards[0][0].base - 1;
        for (size_t row = 0; !r->null[i] && row < r->rows[i].count; row++)
            memcpy(r->copy[i] + row * r->rows[i].bytes, r->rows[i].at + row * r->rows[i].stride,
                   r->rows[i].bytes);
    }
}
