/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of src/operations.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../layout.h"
#include "long_run.h"

enum { INPUTS = BITDROP_MAX_INPUTS, NOWHERE = -1 };
enum { Y, PROB, LSE, MASK };

/* A call without its ISA, threads and places of outputs. */
struct plan {
    struct call call;
    bitdrop_config cfg;
    bitdrop_2d shape;
    bitdrop_softmax soft;
    int in_place;              /* the input that the output may be, or NOWHERE */
    size_t y, prob, lse, mask; /* bytes */
};

/* Half of the strides are dense. The others have a gap of at most a quarter of the row. */
static size_t draw_stride(struct check *c, size_t cols)
{
    return check_below(c, 2) ? 0 : cols + check_below(c, 1 + (cols / 4 > 24 ? 24 : cols / 4));
}

static void draw_shape(struct worker *w, struct plan *p, size_t n)
{
    struct check *c = &w->c;
    const size_t cols = draw_size(c, n);
    bitdrop_2d *s = &p->shape;

    *s = (bitdrop_2d){.rows = n / cols, .cols = cols};
    s->x_stride = draw_stride(c, cols);
    s->y_stride = draw_stride(c, cols);
    s->z_stride = draw_stride(c, cols);
    s->mask_repeat = check_below(c, 2) ? 0 : draw_size(c, 300);
    s->first_row = check_below(c, 2) ? 0 : check_below(c, 1000000);
    s->unit = check_below(c, 4) ? BITDROP_EACH_ELEMENT : BITDROP_EACH_ROW;
    if (s->unit == BITDROP_EACH_ELEMENT) {
        s->pitch = check_below(c, 2) ? 0 : cols + check_below(c, 5000);
        s->mask_stride = check_below(c, 2) ? 0 : bitdrop_mask_bytes(cols) + check_below(c, 3);
    }
}

/* Draws the options of softmax. */
static void draw_softmax(struct worker *w, struct plan *p)
{
    static const double scales[] = {0, 0.125, -0.3};
    struct check *c = &w->c;
    const size_t rows = p->shape.rows, cols = p->shape.cols;

    p->soft = (bitdrop_softmax){.scale = scales[check_below(c, 3)]};
    /* From a later row on, the bias would need rows for all rows in front of it too. */
    if (p->shape.first_row == 0 && check_below(c, 2)) {
        p->soft.bias_block = 1 + check_below(c, rows);
        p->soft.bias_repeat = check_below(c, 4);
    }
    if (check_below(c, 2)) {
        p->soft.causal_rows = 1 + check_below(c, 2 * rows);
        p->soft.causal_first = (int64_t)check_below(c, 2 * cols) - (int64_t)cols / 2;
    }
    p->lse = operation_row(p->call.op)->bits == BITS_WRITTEN && check_below(c, 2)
                 ? rows * (p->call.dtype == BITDROP_F64 ? 8 : 4)
                 : 0;
}

/* Draws the inputs, and which of them the output may be. For softmax most are numbers, because a
 * NaN makes its whole row NaNs. */
static void draw_inputs(struct worker *w, struct plan *p)
{
    struct check *c = &w->c;
    struct call *call = &p->call;
    const bool rows = operation_of_rows(call->op);
    unsigned char *const *pool = rows && check_below(c, 16) ? pools.numbers : pools.any;

    p->in_place = NOWHERE;
    for (int i = 0; i < INPUTS; i++) {
        const enum bitdrop_input kind = operation_row(call->op)->in[i];
        const bool optional = kind == IN_BIAS || kind == IN_THIRD_OR_NULL || kind == IN_ROW_BIAS;

        if (!operation_reads(call->op, p->cfg.mask_use, i) || kind == IN_PROB ||
            (optional && check_below(c, 3) == 0))
            continue;
        call->in[i] = draw_input(c, pool, call->dtype);
        if (kind != IN_BIAS && kind != IN_ROW_BIAS && check_below(c, 3) == 0)
            p->in_place = i;
    }
    if (p->in_place != NOWHERE && operation_row(call->op)->in[p->in_place] == IN_FIRST)
        p->shape.x_stride = p->shape.y_stride;
    else if (p->in_place != NOWHERE)
        p->shape.z_stride = p->shape.y_stride;
}

/* The bytes from the start of the first row to the end of the last. */
static size_t span(size_t rows, size_t bytes, size_t stride)
{
    return rows == 0 ? 0 : (rows - 1) * stride + bytes;
}

static void draw_plan(struct worker *w, enum bitdrop_operation op, struct plan *p)
{
    struct check *c = &w->c;
    const size_t n = draw_size(c, w->most);
    const bool flat = check_below(c, 2);

    *p = (struct plan){.cfg = check_random_config(c), .shape = {.rows = 1, .cols = n}};
    p->cfg.p = operation_p(op, p->cfg.p);
    p->cfg.offset >>= 1;
    p->cfg.mask_use = check_below(c, 3) ? BITDROP_MASK_STORED : BITDROP_MASK_REMADE;
    p->call = (struct call){.op = op,
                            .flat = flat,
                            .dtype = (bitdrop_dtype)check_below(c, 4),
                            .n = n,
                            .soft = &p->soft};
    p->call.shape = &p->shape;
    if (!flat)
        draw_shape(w, p, n);
    if (operation_of_rows(op))
        draw_softmax(w, p);
    draw_inputs(w, p);

    const bitdrop_2d filled = layout_filled(&p->shape);
    const struct layout_mask mask = layout_mask(&filled, operation_marks(op));
    const size_t bytes = dtype_bytes(p->call.dtype);

    if (operation_has_data(op))
        p->y = span(filled.rows, filled.cols * bytes, filled.y_stride * bytes);
    if (operation_row(op)->in[2] == IN_PROB && check_below(c, 4))
        p->prob = span(filled.rows, filled.cols * bytes, filled.z_stride * bytes);
    if (operation_uses_mask(op, p->cfg.mask_use))
        p->mask = span(mask.rows, mask.bytes, mask.stride);
    if (p->mask > 0 && operation_row(op)->bits == BITS_READ)
        p->call.mask =
            (uint8_t *)(uintptr_t)draw_input(c, pools.any, BITDROP_F64) + check_below(c, 8);
}

static void describe(struct worker *w, const struct plan *p)
{
    const bitdrop_2d *s = &p->shape;

    snprintf(w->text, sizeof w->text,
             "%s %s %s, %zu x %zu, pitch %" PRIu64
             ", strides %zu %zu %zu %zu, repeat %zu, first row %" PRIu64
             ", unit %u; p %a, seed %" PRIu64 ", stream %u, offset %" PRIu64
             ", rounds %d, scaling %d, mask_use %d; in place of %d; inputs %d %d %d; softmax %g, "
             "%zu %zu, %" PRIu64 " %" PRId64,
             operation_name(p->call.op), dtype_name(p->call.dtype), p->call.flat ? "flat" : "2d",
             s->rows, s->cols, s->pitch, s->x_stride, s->y_stride, s->z_stride, s->mask_stride,
             s->mask_repeat, s->first_row, s->unit, p->cfg.p, p->cfg.seed, p->cfg.stream,
             p->cfg.offset, p->cfg.rounds, p->cfg.scaling, p->cfg.mask_use, p->in_place,
             p->call.in[0] != NULL, p->call.in[1] != NULL, p->call.in[2] != NULL, p->soft.scale,
             p->soft.bias_block, p->soft.bias_repeat, p->soft.causal_rows, p->soft.causal_first);
}

/* Makes the call. Before it, y holds the input that it may replace, whether in_place or not: bytes
 * in its gaps must be the same after both. */
static void run(struct worker *w, const struct plan *p, const bitdrop_config *cfg, bool in_place,
                struct region *to)
{
    struct call call = p->call;
    struct check *c = to == w->got ? &w->c : NULL;
    const bool writes = p->mask > 0 && call.mask == NULL;
    bitdrop_softmax soft = p->soft;

    region_set(&to[Y], p->y, c == NULL ? 0 : draw_gap(c, call.dtype),
               p->in_place == NOWHERE ? NULL : call.in[p->in_place]);
    region_set(&to[PROB], p->prob, c == NULL ? 0 : draw_gap(c, call.dtype), NULL);
    region_set(&to[LSE], p->lse, 0, NULL);
    region_set(&to[MASK], writes ? p->mask : 0, c == NULL ? 0 : check_below(c, 64), NULL);
    call.cfg = cfg;
    call.soft = &soft;
    call.y = to[Y].at;
    soft.lse = p->lse > 0 ? to[LSE].at : NULL;
    if (in_place)
        call.in[p->in_place] = call.y;
    if (p->prob > 0)
        call.in[2] = to[PROB].at;
    if (writes && cfg->mask_use == BITDROP_MASK_STORED)
        call.mask = to[MASK].at;
    if (writes && operation_row(call.op)->body == BODY_NONE)
        call.mask = to[MASK].at;
    expect_ok(w, call_run(&call));
}

/* Makes the call once on each ISA. At random it is cut into tasks, in place, or without a mask. */
void operations_run(struct worker *w, enum bitdrop_operation op)
{
    struct plan p;
    bitdrop_config cfg;

    draw_plan(w, op, &p);
    describe(w, &p);
    cfg = p.cfg;
    answer(w, (int)op, BITDROP_ISA_SCALAR, &cfg);
    run(w, &p, &cfg, false, w->wanted);
    for (int i = 0; i < BITDROP_ISA_COUNT; i++) {
        const bitdrop_isa isa = (bitdrop_isa)i;

        if (!bitdrop_isa_supported(isa) || (isa == BITDROP_ISA_SCALAR && check_below(&w->c, 4)))
            continue;
        cfg = p.cfg;
        vary(w, (int)op, isa, &cfg);
        if (operation_row(op)->bits == BITS_WRITTEN && check_below(&w->c, 4) == 0)
            cfg.mask_use = BITDROP_MASK_REMADE;
        run(w, &p, &cfg, p.in_place != NOWHERE && check_below(&w->c, 2), w->got);
        expect_same(w, Y, "the output", &p.call.dtype);
        expect_same(w, PROB, "prob", &p.call.dtype);
        expect_same(w, LSE, "lse",
                    p.call.dtype == BITDROP_F64 ? &(bitdrop_dtype){BITDROP_F64}
                                                : &(bitdrop_dtype){BITDROP_F32});
        if (cfg.mask_use == p.cfg.mask_use || operation_row(op)->body == BODY_NONE)
            expect_same(w, MASK, "the mask", NULL);
    }
}
