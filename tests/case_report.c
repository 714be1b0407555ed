/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "case_running.h"
#include "layout.h"
#include "oracle.h"

void running_report(const struct running *r, const char *what)
{
    const bitdrop_config *cfg = &r->cfg;
    const bitdrop_2d *s = &r->filled;
    char inputs[160] = "";
    size_t length = 0;

    for (int i = 0; i < INPUTS; i++)
        if (operation_row(r->op)->in[i] != IN_NONE)
            length += (size_t)snprintf(inputs + length, sizeof inputs - length, "%s%p",
                                       r->in_place[i] ? " (in place) " : " ", r->in[i]);
    check_fail(r->c,
               "%s %s %s: %s; %zu x %zu of pitch %" PRIu64 ", strides %zu %zu %zu %zu, first row "
               "%" PRIu64 ", repeat %zu, unit %u; offset %" PRIu64 " p %a seed %" PRIu64
               " stream %" PRIu32 " rounds %d scaling %d stores %d mask %s; inputs%s%s, output %p, "
               "mask %p",
               operation_name(r->op), dtype_name(r->dtype), r->t->flat ? "flat" : "2d", what,
               s->rows, s->cols, s->pitch, s->x_stride, s->y_stride, s->z_stride, s->mask_stride,
               s->first_row, s->mask_repeat, s->unit, cfg->offset, cfg->p, cfg->seed, cfg->stream,
               cfg->rounds, cfg->scaling, cfg->stores, r->stored ? "stored" : "not stored",
               r->t->overlapping ? " (overlapping)" : "", inputs, (void *)r->y.at,
               (void *)r->mask.at);
}

static void report_element(const struct running *r, size_t row, size_t col)
{
    const struct element e = running_element(r, row, col);
    const bool has_data = operation_has_data(r->op);
    const unsigned char *y = has_data ? r->y.at + row * r->y.stride + col * r->bytes : NULL;
    char what[240];
    int length = snprintf(
        what, sizeof what,
        "element (%zu, %zu) is %" PRIx64 ", not %" PRIx64 "; its keep bit is %d, inputs", row, col,
        has_data ? oracle_bits(r->dtype, y) : 0, has_data ? oracle_bits(r->dtype, e.y) : 0, e.keep);

    for (int i = 0; i < INPUTS; i++)
        if (e.in[i] != NULL)
            length += snprintf(what + length, sizeof what - (size_t)length, " %" PRIx64,
                               oracle_bits(r->dtype, e.in[i]));
        else
            length += snprintf(what + length, sizeof what - (size_t)length, " -");
    running_report(r, what);
}

/* Finds the element that a bit of the mask belongs to. False if there is none. */
static bool find_bit(const struct running *r, size_t bit, size_t *row, size_t *col)
{
    for (*row = 0; *row < r->filled.rows; ++*row)
        for (*col = 0; *col < r->filled.cols; ++*col)
            if (layout_bit(&r->filled, r->marks, *row, *col) == bit)
                return true;
    return false;
}

static void report_mask(const struct running *r, const unsigned char *p)
{
    const unsigned got = *p, wanted = *guard_shadow(r->mask.guard, p);
    const size_t first = (size_t)__builtin_ctz(got ^ wanted);
    char what[120];
    size_t row, col;

    snprintf(what, sizeof what, "byte %zu of the mask is %02x, not %02x", (size_t)(p - r->mask.at),
             got, wanted);
    running_report(r, what);
    if (find_bit(r, 8 * (size_t)(p - r->mask.at) + first, &row, &col))
        report_element(r, row, col);
}

/* The first wrong byte in a buffer or in the memory around it, or NULL. */
static const unsigned char *first_wrong(const struct rows *rows)
{
    return rows->guard == NULL ? NULL : guard_difference(rows->guard);
}

void running_compare(const struct running *r)
{
    const unsigned char *p = first_wrong(&r->y);
    size_t row, byte;

    if (p != NULL && rows_find(&r->y, p, &row, &byte))
        report_element(r, row, byte / r->bytes);
    else if (p != NULL)
        running_report(r, "written outside of the output");
    p = first_wrong(&r->mask);
    if (p != NULL && rows_find(&r->mask, p, &row, &byte) && running_writes_mask(r))
        report_mask(r, p);
    else if (p != NULL)
        running_report(r, running_writes_mask(r) ? "written outside of the mask" : "mask changed");
    for (int i = 0; i < INPUTS; i++)
        if (!r->null[i] && !r->in_place[i] && first_wrong(&r->rows[i]) != NULL)
            running_report(r, "an input changed");
}
