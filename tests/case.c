/* SPDX-License-Identifier: Apache-2.0 */
#include "case.h"

#include <string.h>

#include "case_running.h"
#include "layout.h"
#include "oracle.h"

enum { EVERY_DTYPE_ELEMENTS = 256 /* cases of at most this size run with every dtype */ };

static struct place random_place(struct check *c)
{
    return (struct place){check_below(c, 3) == 0 ? check_below(c, 64) : 0, check_below(c, 2) == 0};
}

struct test_case case_random(struct check *c, size_t n)
{
    struct test_case t = {
        .cfg = check_random_config(c),
        .shape = {.rows = 1, .cols = n},
        .flat = true,
        .in_place = check_below(c, 3) == 0,
        .y = random_place(c),
        .mask = random_place(c),
    };

    for (int i = 0; i < INPUTS; i++)
        t.in[i] = random_place(c);
    t.overlapping = !t.in_place && check_below(c, 8) == 0;
    if (t.cfg.offset > UINT64_MAX - n)
        t.cfg.offset -= n;
    return t;
}

void case_place(struct check *c, struct test_case *t, bool last)
{
    bitdrop_2d filled;

    t->shape.first_row = check_below(c, 3) == 0 ? 0 : check_random(c) >> check_below(c, 64);
    filled = layout_filled(&t->shape);
    /* The product of rows and pitch must fit in 64 bits. */
    while (filled.first_row > UINT64_MAX / 4 / (filled.pitch + 1) - filled.rows)
        filled.first_row /= 2;
    t->shape.first_row = filled.first_row;
    t->cfg.offset >>= 1;
    if (last)
        t->cfg.offset = -layout_indices(&filled);
}

struct element running_element(const struct running *r, size_t row, size_t col)
{
    const size_t bit = layout_bit(&r->filled, r->marks, row, col);
    const size_t made =
        layout_group(&r->filled, row) * (r->filled.unit == BITDROP_EACH_ROW ? 1 : r->filled.cols) +
        (r->filled.unit == BITDROP_EACH_ROW ? 0 : col);
    struct element e = {.op = r->op, .cfg = &r->cfg, .dtype = r->dtype, .keep = r->made[made]};

    e.index = layout_index(&r->filled, r->cfg.offset, row, col);

    if (running_reads_mask(r)) {
        e.stored = true;
        e.keep = rows_shadow(&r->mask, 0)[bit / 8] >> (bit % 8) & 1;
    }
    for (int i = 0; i < INPUTS; i++)
        if (!r->null[i])
            e.in[i] =
                r->copy[i] + (r->rows[i].count > 1 ? row * r->rows[i].bytes : 0) + col * r->bytes;
    reference(&e);
    return e;
}

/* Writes what the call must write, into the shadows of y and the mask. */
static void expect(const struct running *r)
{
    const bool writes = running_writes_mask(r);

    for (size_t row = 0; row < r->mask.count && writes; row++)
        memset(rows_shadow(&r->mask, row), 0, r->mask.bytes);
    for (size_t row = 0; row < r->filled.rows; row++)
        for (size_t col = 0; col < r->filled.cols; col++) {
            const struct element e = running_element(r, row, col);
            const size_t bit = layout_bit(&r->filled, r->marks, row, col);

            if (writes)
                rows_shadow(&r->mask, 0)[bit / 8] |= (uint8_t)(e.bit << (bit % 8));
            if (operation_has_data(r->op))
                memcpy(rows_shadow(&r->y, row) + col * r->bytes, e.y, r->bytes);
        }
}

/* Where an element differs from the reference but reference_accepts it, copies it to the shadow. */
static void accept_allowed(const struct running *r)
{
    const bool marked = running_writes_mask(r) && r->marks;

    if (guard_difference(r->y.guard) == NULL &&
        (!marked || guard_difference(r->mask.guard) == NULL))
        return;
    for (size_t row = 0; row < r->filled.rows; row++)
        for (size_t col = 0; col < r->filled.cols; col++) {
            const size_t bit = layout_bit(&r->filled, r->marks, row, col);
            const unsigned char *y = r->y.at + row * r->y.stride + col * r->bytes;
            unsigned char *wanted = rows_shadow(&r->y, row) + col * r->bytes;
            uint8_t *mask = marked ? rows_shadow(&r->mask, 0) + bit / 8 : NULL;
            const uint8_t in_mask = (uint8_t)(1 << (bit % 8));
            const bool got = marked && (r->mask.at[bit / 8] & in_mask) != 0;

            if (memcmp(y, wanted, r->bytes) == 0 && (!marked || got == ((*mask & in_mask) != 0)))
                continue;
            const struct element e = running_element(r, row, col);

            if (!reference_accepts((bitdrop_isa)r->cfg.isa, &e, y, marked ? &got : NULL))
                continue;
            memcpy(wanted, y, r->bytes);
            if (marked)
                *mask = (uint8_t)(got ? *mask | in_mask : *mask & ~in_mask);
        }
}

static void run_one(struct running *r, struct guard guards[INPUTS + 2][3])
{
    bitdrop_status status;

    running_choose(r);
    running_place(r, guards);
    expect(r);
    status = call_run(&(struct call){
        .op = r->op,
        .flat = r->t->flat,
        .cfg = &r->cfg,
        .dtype = r->dtype,
        .n = r->shape.cols,
        .shape = &r->shape,
        .in = {r->in[0], r->in[1], r->in[2]},
        .y = r->y.at,
        .mask = r->mask.at,
    });
    if (status != BITDROP_OK)
        running_report(r, bitdrop_status_string(status));
    else if (operation_has_data(r->op))
        accept_allowed(r);
    running_compare(r);
    r->c->cases++;
}

/* Makes the keep bits, which all operations of the case share. */
static void make_bits(const struct test_case *t, const bitdrop_2d *filled, bool *made)
{
    const size_t cols = filled->unit == BITDROP_EACH_ROW && filled->cols > 0 ? 1 : filled->cols;

    for (size_t row = 0; row < filled->rows; row++)
        for (size_t col = 0; col < cols; col++)
            if (row == 0 || layout_group(filled, row) != layout_group(filled, row - 1))
                made[layout_group(filled, row) * cols + col] =
                    oracle_keep(&t->cfg, layout_index(filled, t->cfg.offset, row, col));
}

void case_run(struct check *c, const struct test_case *t)
{
    static struct guard guards[INPUTS + 2][3]; /* rows_new uses the first of 3 that fits */
    static bool made[CASE_ELEMENTS];
    static unsigned char copies[INPUTS][CASE_ELEMENTS * 8];
    const bitdrop_2d filled = layout_filled(&t->shape);
    struct running r = {.c = c, .t = t, .made = made};

    for (int i = 0; i < INPUTS + 2 && guards[i][0].size == 0; i++) {
        guards[i][0] = guard_new(1);
        guards[i][1] = guard_new(40000);
        guards[i][2] = guard_new(CASE_BYTES + 1024);
    }
    for (int i = 0; i < INPUTS; i++)
        r.copy[i] = copies[i];
    make_bits(t, &filled, made);
    for (int op = 0; op < BITDROP_OPERATION_COUNT; op++) {
        const bool every_dtype = filled.rows * filled.cols <= EVERY_DTYPE_ELEMENTS;
        const size_t drawn = check_below(c, 4);

        r.op = (enum bitdrop_operation)op;
        if (operation_of_rows(r.op)) /* check_softmax.c tests them */
            continue;
        r.marks = operation_marks(r.op);
        for (size_t dtype = 0; dtype < 4; dtype++) {
            if (operation_has_data(r.op) ? !every_dtype && dtype != drawn : dtype != 0)
                continue;
            r.dtype = (bitdrop_dtype)dtype;
            r.bytes = dtype_bytes(r.dtype);
            r.cfg = t->cfg;
            r.cfg.p = operation_p(r.op, t->cfg.p);
            r.shape = t->shape;
            run_one(&r, guards);
        }
    }
}
