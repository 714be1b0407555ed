/* SPDX-License-Identifier: Apache-2.0 */
/* Compares calls on parts with one call on the whole: on a flat tensor, and on a matrix. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "check.h"
#include "layout.h"
#include "oracle.h"

enum {
    INPUTS = BITDROP_MAX_INPUTS,
    WHOLE = 20000,
    BUFFER_ELEMENTS = 40000 /* with gaps */
};

/* A call on a whole matrix, or on a whole flat tensor, which is one row. */
struct whole {
    struct call call;
    bitdrop_config cfg;
    bitdrop_2d shape, filled; /* filled: by layout_filled */
    size_t bytes;             /* of an element */
    bool marks, reads, writes;
};

static unsigned char in[INPUTS][BUFFER_ELEMENTS * 8], y[BUFFER_ELEMENTS * 8],
    part_y[BUFFER_ELEMENTS * 8], part_prob[BUFFER_ELEMENTS * 8];
static uint8_t mask[BUFFER_ELEMENTS], part_mask[BUFFER_ELEMENTS];

static bool get_bit(const uint8_t *m, size_t i) { return m[i / 8] >> (i % 8) & 1; }

static void set_bit(uint8_t *m, size_t i, bool to)
{
    m[i / 8] = (uint8_t)((m[i / 8] & ~(1 << (i % 8))) | to << (i % 8));
}

/* Runs the call. op, flat, dtype, n and shape must be set; this function sets everything else. */
static void run_whole(struct check *c, struct whole *w)
{
    const enum bitdrop_bits bits = operation_row(w->call.op)->bits;
    bool uses_mask;

    w->filled = layout_filled(&w->shape);
    w->cfg.p = operation_p(w->call.op, w->cfg.p);
    w->bytes = dtype_bytes(w->call.dtype);
    w->cfg.mask_use = check_below(c, 3) == 0 ? BITDROP_MASK_REMADE : BITDROP_MASK_STORED;
    uses_mask = operation_uses_mask(w->call.op, w->cfg.mask_use);
    w->marks = operation_marks(w->call.op);
    w->reads = bits == BITS_READ && uses_mask;
    w->writes = bits == BITS_WRITTEN && uses_mask;
    w->call.cfg = &w->cfg;
    w->call.shape = &w->shape;
    w->call.y = y;
    w->call.mask = uses_mask ? mask : NULL;
    for (int i = 0; i < INPUTS; i++) {
        check_fill(c, w->call.dtype, in[i], BUFFER_ELEMENTS);
        w->call.in[i] = operation_reads(w->call.op, w->cfg.mask_use, i) ? in[i] : NULL;
    }
    for (size_t i = 0; i < BUFFER_ELEMENTS; i++)
        mask[i] = (uint8_t)check_random(c);
    memset(y, 0x55, sizeof y);
    if (call_run(&w->call) != BITDROP_OK)
        check_fail(c, "%s is refused", operation_name(w->call.op));
}

/* A part of the whole, from row `row` and column `col` on. shape has its rows and columns. */
struct part {
    bitdrop_2d shape, filled;
    size_t row, col;
};

/*
 * If `copy`, copies the bits of a part from `mask` to part_mask. Else compares them, and returns
 * false if one differs.
 */
static bool bits_of_part(const struct whole *w, const struct part *p, bool copy)
{
    for (size_t r = 0; r < p->filled.rows; r++)
        for (size_t col = 0; col < p->filled.cols; col++) {
            const bool bit =
                get_bit(mask, layout_bit(&w->filled, w->marks, p->row + r, p->col + col));
            const size_t at = layout_bit(&p->filled, w->marks, r, col);

            if (copy)
                set_bit(part_mask, at, bit);
            else if (get_bit(part_mask, at) != bit)
                return false;
        }
    return true;
}

static void report(struct check *c, const struct whole *w, const struct part *p, const char *what)
{
    check_fail(c,
               "%s %s %s: %s; a part of %zu x %zu from (%zu, %zu) of %zu x %zu, pitch %" PRIu64
               ", repeat %zu, unit %u, first row %" PRIu64 "; p %a, offset %" PRIu64,
               operation_name(w->call.op), dtype_name(w->call.dtype), w->call.flat ? "flat" : "2d",
               what, p->filled.rows, p->filled.cols, p->row, p->col, w->filled.rows, w->filled.cols,
               w->filled.pitch, w->filled.mask_repeat, w->filled.unit, w->filled.first_row,
               w->cfg.p, w->cfg.offset);
}

static void compare_values(struct check *c, const struct whole *w, const struct part *p)
{
    const size_t i = check_difference(w->call.dtype, part_y, y, BUFFER_ELEMENTS);
    const size_t row = i / w->filled.y_stride, col = i % w->filled.y_stride;
    char what[160];

    if (i == BUFFER_ELEMENTS)
        return;
    snprintf(what, sizeof what, "element (%zu, %zu) of the whole is %" PRIx64 ", not %" PRIx64, row,
             col, oracle_bits(w->call.dtype, part_y + i * w->bytes),
             oracle_bits(w->call.dtype, y + i * w->bytes));
    report(c, w, p, what);
}

/* A call on a part must write what the call on the whole wrote there, and nothing around it. */
static void compare_part(struct check *c, const struct whole *w, struct part *p)
{
    struct call call = w->call;
    bitdrop_config cfg = w->cfg;
    const size_t at = (p->row * w->filled.y_stride + p->col) * w->bytes;

    p->filled = layout_filled(&p->shape);
    if (w->filled.unit == BITDROP_EACH_ELEMENT)
        cfg.offset += p->col;
    call.cfg = &cfg;
    call.n = p->shape.cols;
    call.shape = &p->shape;
    for (int i = 0; i < INPUTS; i++) {
        const enum bitdrop_input kind = operation_row(call.op)->in[i];
        const size_t stride = kind == IN_BIAS       ? 0
                              : kind == IN_FIRST    ? w->filled.x_stride
                              : kind == IN_ROW_BIAS ? w->filled.cols
                                                    : w->filled.z_stride;

        if (call.in[i] != NULL)
            call.in[i] =
                (kind == IN_PROB ? part_prob : in[i]) + (p->row * stride + p->col) * w->bytes;
    }
    memcpy(part_prob, in[2], sizeof part_prob);
    memcpy(part_y, y, sizeof y);
    for (size_t r = 0; r < p->filled.rows; r++)
        memset(part_y + at + r * w->filled.y_stride * w->bytes, 0x33, p->filled.cols * w->bytes);
    call.y = part_y + at;
    memset(part_mask, 0, sizeof part_mask);
    if (w->reads)
        bits_of_part(w, p, true);
    if (call.mask != NULL)
        call.mask = part_mask;
    if (call_run(&call) != BITDROP_OK)
        report(c, w, p, "refused");
    if (operation_has_data(call.op))
        compare_values(c, w, p);
    if (check_difference(call.dtype, part_prob, in[2], BUFFER_ELEMENTS) < BUFFER_ELEMENTS)
        report(c, w, p, "prob differs");
    if (w->writes && !bits_of_part(w, p, false))
        report(c, w, p, "mask bits differ");
    c->cases++;
}

void check_cuts(struct check *c)
{
    size_t first = check_below(c, BITDROP_OPERATION_COUNT);

    for (unsigned sample = 0; sample < 220 / c->thin; sample++) {
        struct whole w = {.cfg = check_random_config(c)};

        w.call.op = (enum bitdrop_operation)((first + sample) % BITDROP_OPERATION_COUNT);
        if (operation_of_rows(w.call.op))
            continue;
        w.call.flat = true;
        w.call.dtype = (bitdrop_dtype)check_below(c, 4);
        w.call.n = WHOLE;
        w.shape = (bitdrop_2d){.rows = 1, .cols = WHOLE};
        w.cfg.offset >>= 1;
        run_whole(c, &w);
        for (size_t begin = 0, end; begin < WHOLE; begin = end) {
            end = begin + 1 + check_below(c, sample % 2 ? 4000 : 500);
            if (sample % 3 == 0)
                end = (end + 7) / 8 * 8;
            if (end > WHOLE)
                end = WHOLE;
            struct part p = {.shape = {.rows = 1, .cols = end - begin}, .col = begin};

            compare_part(c, &w, &p);
            if (w.writes && begin % 8 == 0 &&
                memcmp(part_mask, mask + begin / 8, (end - begin) / 8) != 0)
                report(c, &w, &p, "mask bytes differ");
        }
    }
}

/* A matrix of about 36 x 501, 308 x 60 or 3,083 x 6 elements, which may have gaps. */
static bitdrop_2d random_whole(struct check *c)
{
    static const size_t columns[] = {501, 60, 6};
    const size_t cols = columns[check_below(c, 3)];
    bitdrop_2d s = {.rows = 18500 / cols, .cols = cols};

    s.unit = check_below(c, 3) == 0 ? BITDROP_EACH_ROW : BITDROP_EACH_ELEMENT;
    s.mask_repeat = check_below(c, 2) ? 0 : 1 + check_below(c, 40);
    s.first_row = check_below(c, 2) ? 0 : check_below(c, 100000);
    if (s.unit == BITDROP_EACH_ELEMENT)
        s.pitch = check_below(c, 2) ? 0 : cols + check_below(c, 1000);
    s.x_stride = check_below(c, 2) ? 0 : cols + check_below(c, 6);
    s.y_stride = check_below(c, 2) ? 0 : cols + check_below(c, 6);
    s.z_stride = check_below(c, 2) ? 0 : cols + check_below(c, 6);
    return s;
}

/* A part of the rows, of the columns, or of both. */
static struct part random_part(struct check *c, const struct whole *w)
{
    struct part p = {.shape = w->filled};

    if (check_below(c, 3) != 0)
        p.row = check_below(c, w->filled.rows);
    if (check_below(c, 3) != 0)
        p.col = check_below(c, w->filled.cols);
    if (operation_of_rows(w->call.op))
        p.col = 0;
    p.shape.rows = 1 + check_below(c, w->filled.rows - p.row);
    p.shape.cols =
        operation_of_rows(w->call.op) ? w->filled.cols : 1 + check_below(c, w->filled.cols - p.col);
    p.shape.first_row += p.row;
    p.shape.mask_stride = 0;
    if (p.shape.unit == BITDROP_EACH_ROW)
        p.shape.pitch = 0;
    return p;
}

void check_shards(struct check *c)
{
    size_t first = check_below(c, BITDROP_OPERATION_COUNT);

    for (unsigned sample = 0; sample < 220 / c->thin; sample++) {
        struct whole w = {.cfg = check_random_config(c)};

        w.call.op = (enum bitdrop_operation)((first + sample) % BITDROP_OPERATION_COUNT);
        w.call.dtype = (bitdrop_dtype)check_below(c, 4);
        w.shape = random_whole(c);
        w.cfg.offset >>= 1;
        run_whole(c, &w);
        for (int i = 0; i < 10; i++) {
            struct part p = random_part(c, &w);

            compare_part(c, &w, &p);
        }
    }
}
