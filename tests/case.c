/* SPDX-License-Identifier: Apache-2.0 */
#include "case.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "guard.h"
#include "oracle.h"

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
        .x = random_place(c),
        .y = random_place(c),
        .mask = random_place(c),
    };

    if (t.cfg.offset > UINT64_MAX - n)
        t.cfg.offset -= n;
    return t;
}

/* A buffer of rows in guarded memory. */
struct rows {
    struct guard *guard;
    unsigned char *at;
    size_t stride, bytes; /* of a row */
};

static struct rows place_rows(struct guard guards[3], size_t rows, size_t bytes, size_t stride,
                              struct place place)
{
    const size_t total = rows == 0 || bytes == 0 ? 0 : (rows - 1) * stride + bytes;
    struct rows r = {.guard = guards, .stride = stride, .bytes = bytes};

    while (r.guard->size < total + place.gap)
        r.guard++;
    guard_reset(r.guard);
    r.at = place.behind ? guard_back(r.guard, total, place.gap) : guard_front(r.guard, place.gap);
    return r;
}

static unsigned char *row_shadow(const struct rows *r, size_t row)
{
    return guard_shadow(r->guard, r->at + row * r->stride);
}

/* Makes the real rows equal to their shadow. */
static void rows_settle(const struct rows *r, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        memcpy(r->at + i * r->stride, row_shadow(r, i), r->bytes);
}

struct running {
    struct check *c;
    const struct test_case *t;
    enum operation op;
    bitdrop_dtype dtype;
    bitdrop_2d shape; /* defaults filled in */
    struct rows x, y, mask;
};

static void report(const struct running *r, const char *what, size_t row, size_t col)
{
    const bitdrop_config *cfg = &r->t->cfg;

    check_fail(r->c,
               "%s %s %s: %s (%zu, %zu) of %zu x %zu, pitch %" PRIu64 ", strides %zu %zu %zu; "
               "offset %" PRIu64 " p %a seed %" PRIu64 " stream %" PRIu32
               " rounds %d scaling %d stores %d%s; addresses %p %p %p",
               operation_name(r->op), dtype_name(r->dtype), r->t->flat ? "flat" : "2d", what, row,
               col, r->shape.rows, r->shape.cols, r->shape.pitch, r->shape.x_stride,
               r->shape.y_stride, r->shape.mask_stride, cfg->offset, cfg->p, cfg->seed, cfg->stream,
               cfg->rounds, cfg->scaling, cfg->stores, r->t->in_place ? " in place" : "",
               (void *)r->x.at, (void *)r->y.at, (void *)r->mask.at);
}

/* Compares a buffer and all around it with the shadow; unit is the bits of an element. */
static void compare(const struct running *r, const char *name, const struct rows *rows, size_t unit)
{
    const unsigned char *p = guard_difference(rows->guard);

    if (p == NULL)
        return;
    if (p >= rows->at && rows->stride > 0) {
        const size_t row = (size_t)(p - rows->at) / rows->stride;
        const size_t byte = (size_t)(p - rows->at) % rows->stride;

        if (row < r->shape.rows && byte < rows->bytes) {
            report(r, name, row, byte * 8 / unit);
            return;
        }
    }
    report(r, "written outside of", 0, 0);
}

static bitdrop_status run_call(const struct running *r)
{
    return call_run(&(struct call){r->op, r->t->flat, &r->t->cfg, r->dtype, r->t->shape.cols,
                                   &r->t->shape, r->x.at, r->y.at, r->mask.at});
}

/* What an ISA may have made of x is what it must have made. Row after row of x is at input. */
static void forgive(const struct running *r, const unsigned char *input)
{
    const size_t bytes = oracle_bytes(r->dtype);

    for (size_t row = 0; row < r->shape.rows; row++)
        for (size_t i = 0; i < r->y.bytes; i += bytes, input += bytes) {
            const unsigned char *y = r->y.at + row * r->y.stride + i;
            unsigned char *wanted = row_shadow(&r->y, row) + i;

            if (oracle_accepts(r->t->cfg.isa, r->dtype, input, wanted, y))
                memcpy(wanted, y, bytes);
        }
}

/* What the call must leave behind, into the shadows of y and mask. */
static void expect(const struct running *r, const bool *kept)
{
    const bitdrop_config *cfg = &r->t->cfg;
    const size_t bytes = oracle_bytes(r->dtype);

    for (size_t row = 0; row < r->shape.rows; row++) {
        const unsigned char *x = row_shadow(&r->x, row);
        unsigned char *y = row_shadow(&r->y, row);
        unsigned char *mask = row_shadow(&r->mask, row);

        if (r->op == MASK || r->op == FORWARD)
            memset(mask, 0, r->mask.bytes);
        for (size_t col = 0; col < r->shape.cols; col++) {
            bool keep = kept[row * r->shape.cols + col];

            if (r->op == BACKWARD)
                keep = mask[col / 8] >> (col % 8) & 1;
            else if (r->op == MASK || r->op == FORWARD)
                mask[col / 8] |= (uint8_t)(keep << (col % 8));
            if (r->op == INFER)
                oracle_infer(cfg, r->dtype, x + col * bytes, y + col * bytes);
            else if (r->op != MASK)
                oracle_train(cfg, r->dtype, keep, x + col * bytes, y + col * bytes);
        }
    }
}

static void run_one(struct running *r, struct guard guards[3][3], const bool *kept)
{
    const struct test_case *t = r->t;
    const bitdrop_2d *s = &r->shape;
    const size_t bytes = oracle_bytes(r->dtype);
    static unsigned char input[CASE_ELEMENTS * 8];

    r->x = place_rows(guards[0], s->rows, s->cols * bytes, s->x_stride * bytes, t->x);
    r->y = r->x;
    if (!t->in_place)
        r->y = place_rows(guards[1], s->rows, s->cols * bytes, s->y_stride * bytes, t->y);
    r->mask = place_rows(guards[2], s->rows, (s->cols + 7) / 8, s->mask_stride, t->mask);

    for (size_t row = 0; row < s->rows; row++) {
        check_fill(r->c, r->dtype, row_shadow(&r->x, row), s->cols);
        for (size_t i = 0; i < r->mask.bytes && r->op == BACKWARD; i++)
            row_shadow(&r->mask, row)[i] = (uint8_t)check_random(r->c);
    }
    rows_settle(&r->x, s->rows);
    rows_settle(&r->mask, s->rows);

    for (size_t row = 0; row < s->rows; row++)
        memcpy(input + row * r->x.bytes, r->x.at + row * r->x.stride, r->x.bytes);
    expect(r, kept);
    const bitdrop_status status = run_call(r);
    if (status != BITDROP_OK)
        report(r, bitdrop_status_string(status), 0, 0);
    if (r->op != MASK && guard_difference(r->y.guard) != NULL)
        forgive(r, input);
    compare(r, "element", &r->y, 8 * bytes);
    compare(r, "mask bit", &r->mask, 1);
    if (!t->in_place)
        compare(r, "input changed at", &r->x, 8 * bytes);
    r->c->cases++;
}

void case_run(struct check *c, const struct test_case *t)
{
    static struct guard guards[3][3]; /* of x, y, mask: the smallest that fits is used */
    static bool kept[CASE_ELEMENTS];
    struct running r = {.c = c, .t = t, .shape = t->shape};

    for (int i = 0; i < 3 && guards[i][0].size == 0; i++) {
        guards[i][0] = guard_new(1);
        guards[i][1] = guard_new(40000);
        guards[i][2] = guard_new(CASE_BYTES + 1024);
    }
    if (r.shape.pitch == 0)
        r.shape.pitch = r.shape.cols;
    if (r.shape.x_stride == 0)
        r.shape.x_stride = r.shape.cols;
    if (r.shape.y_stride == 0)
        r.shape.y_stride = r.shape.cols;
    if (r.shape.mask_stride == 0)
        r.shape.mask_stride = (r.shape.cols + 7) / 8;

    for (size_t row = 0; row < r.shape.rows; row++)
        for (size_t col = 0; col < r.shape.cols; col++)
            kept[row * r.shape.cols + col] =
                oracle_keep(&t->cfg, t->cfg.offset + row * r.shape.pitch + col);

    for (int op = 0; op < OPERATIONS; op++) {
        for (int dtype = 0; dtype < (op == MASK ? 1 : 4); dtype++) {
            r.op = (enum operation)op;
            r.dtype = (bitdrop_dtype)dtype;
            run_one(&r, guards, kept);
        }
    }
}
