/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are cut into tasks must write the same bytes as calls that are not. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "check.h"
#include "layout.h"
#include "watch.h"

enum {
    INPUTS = BITDROP_MAX_INPUTS,
    ELEMENTS = 200000,
    BUFFER_ELEMENTS = 2 * ELEMENTS, /* with gaps */
    MOST_GAP = 24,
    TILE = 8192
};

/* How often run_backwards was called, and the most tasks that it got. */
struct backwards {
    size_t runs, tasks;
};

static void run_backwards(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                          void *argument)
{
    struct backwards *b = context;

    b->runs++;
    b->tasks = tasks > b->tasks ? tasks : b->tasks;
    while (tasks-- > 0)
        task(argument, tasks);
}

/* Inputs, and the outputs of two calls: [0] on one thread, and [1] in tasks. Whole buffers are
 * compared, with the bytes around the outputs. */
struct buffers {
    unsigned char *in[INPUTS], *y[2], *prob[2];
    uint8_t *mask[2];
};

static struct buffers buffers_new(void)
{
    struct buffers b;

    for (int i = 0; i < INPUTS; i++)
        b.in[i] = malloc(BUFFER_ELEMENTS * 8);
    for (int i = 0; i < 2; i++) {
        b.y[i] = malloc(BUFFER_ELEMENTS * 8);
        b.prob[i] = malloc(BUFFER_ELEMENTS * 8);
        b.mask[i] = malloc(BUFFER_ELEMENTS);
    }
    return b;
}

static void buffers_free(struct buffers *b)
{
    for (int i = 0; i < INPUTS; i++)
        free(b->in[i]);
    for (int i = 0; i < 2; i++) {
        free(b->y[i]);
        free(b->prob[i]);
        free(b->mask[i]);
    }
}

/* A random matrix of about n elements. */
static bitdrop_2d random_shape(struct check *c, size_t n, bool in_place)
{
    static const size_t columns[] = {1, 7, 100, 4096, 8192, 30000, ELEMENTS / 2};
    const size_t cols = columns[check_below(c, sizeof columns / sizeof *columns)];
    bitdrop_2d s = {.rows = n / cols + 1, .cols = cols};

    s.unit = check_below(c, 3) == 0 ? BITDROP_EACH_ROW : BITDROP_EACH_ELEMENT;
    s.mask_repeat = check_below(c, 2) ? 0 : 1 + check_below(c, 30);
    s.first_row = check_below(c, 2) ? 0 : check_below(c, 1000);
    if (s.unit == BITDROP_EACH_ELEMENT && check_below(c, 2) == 0)
        s.pitch = cols + check_below(c, 5000);
    if (cols > MOST_GAP && check_below(c, 2) == 0) {
        s.y_stride = cols + check_below(c, MOST_GAP);
        s.x_stride = in_place ? s.y_stride : cols + check_below(c, MOST_GAP);
        s.z_stride = cols + check_below(c, MOST_GAP);
        if (s.unit == BITDROP_EACH_ELEMENT)
            s.mask_stride = bitdrop_mask_bytes(cols) + check_below(c, 3);
    }
    return s;
}

/* A flat call or a call on a matrix, without its operation, dtype and buffers. */
struct plan {
    bitdrop_config cfg;
    bitdrop_2d shape;
    size_t n, elements;
    size_t tasks; /* at most */
    bool flat, in_place;
};

static struct plan random_plan(struct check *c, bool flat)
{
    struct plan p = {.cfg = check_random_config(c), .flat = flat};

    p.n = check_below(c, ELEMENTS);
    p.tasks = 1 + check_below(c, 9);
    p.in_place = check_below(c, 3) == 0;
    p.shape = random_shape(c, check_below(c, ELEMENTS / 2), p.in_place);
    p.elements = flat ? p.n : p.shape.rows * p.shape.cols;
    p.cfg.offset >>= 1;
    if (check_below(c, 2))
        p.cfg.offset = p.cfg.offset / 2048 * 2048;
    p.cfg.mask_use = check_below(c, 3) == 0 ? BITDROP_MASK_REMADE : BITDROP_MASK_STORED;
    return p;
}

/* Random elements that repeat with an odd period, because drawing all of them takes long. */
static void fill_inputs(struct check *c, const struct buffers *b, bitdrop_dtype t)
{
    const size_t size = BUFFER_ELEMENTS * dtype_bytes(t), period = 9973 * dtype_bytes(t);

    for (int i = 0; i < INPUTS; i++) {
        check_fill(c, t, b->in[i], 9973);
        for (size_t at = period; at < size; at += period)
            memcpy(b->in[i] + at, b->in[i], size - at < period ? size - at : period);
    }
}

static struct call call_of(const struct plan *p, const struct buffers *b, enum bitdrop_operation op,
                           bitdrop_dtype t)
{
    struct call call = {
        .op = op, .flat = p->flat, .cfg = &p->cfg, .dtype = t, .n = p->n, .shape = &p->shape};

    for (int i = 0; i < INPUTS; i++)
        call.in[i] = operation_reads(op, p->cfg.mask_use, i) ? b->in[i] : NULL;
    return call;
}

/*
 * A flat call must have as many tasks as it may, each of at least TASK_ELEMENTS elements, and must
 * not call `run` for a single task. Where rows share a mask, `run` may be called twice: for the
 * mask and for the data. A single row of an operation on whole rows is not cut.
 */
static void expect_tasks(struct check *c, const struct backwards *b, const struct plan *p,
                         bool of_rows)
{
    const size_t most = p->elements / TASK_ELEMENTS, tasks = most < p->tasks ? most : p->tasks;
    const bool one_row = of_rows && p->flat;
    bool good = b->runs <= 2 && b->tasks <= tasks;

    if (tasks <= 1 || one_row)
        good = b->runs == 0;
    else if (p->flat)
        good = b->runs == 1 && b->tasks == tasks;
    if (!good)
        check_fail(c, "%zu elements, %zu tasks at most: %zu runs of %zu tasks", p->elements,
                   p->tasks, b->runs, b->tasks);
}

static void compare_one(struct check *c, const struct buffers *b, const struct plan *p,
                        struct call call)
{
    struct backwards count = {0, 0};
    const bitdrop_parallel parallel = {.run = run_backwards, .context = &count, .tasks = p->tasks};
    bitdrop_config cfg = p->cfg;
    const bool uses_mask = operation_uses_mask(call.op, cfg.mask_use);

    call.cfg = &cfg;
    cfg.p = operation_p(call.op, cfg.p);
    for (int i = 0; i < 2; i++) {
        memcpy(b->y[i], b->in[0], BUFFER_ELEMENTS * dtype_bytes(call.dtype));
        memcpy(b->mask[i], b->in[0], BUFFER_ELEMENTS); /* some operations read it */
        cfg.parallel = i == 0 ? NULL : &parallel;
        if (p->in_place && call.in[0] != NULL)
            call.in[0] = b->y[i];
        call.y = b->y[i];
        call.mask = uses_mask ? b->mask[i] : NULL;
        if (operation_row(call.op)->in[2] == IN_PROB) {
            memset(b->prob[i], 0x55, BUFFER_ELEMENTS * 8);
            call.in[2] = b->prob[i];
        }
        if (call_run(&call) != BITDROP_OK)
            check_fail(c, "%s is refused", operation_name(call.op));
    }
    const size_t first = check_difference(call.dtype, b->y[0], b->y[1], BUFFER_ELEMENTS);

    if (operation_row(call.op)->in[2] == IN_PROB &&
        memcmp(b->prob[0], b->prob[1], BUFFER_ELEMENTS * dtype_bytes(call.dtype)) != 0)
        check_fail(c, "%s in %zu tasks: prob differs", operation_name(call.op), p->tasks);
    if (first < BUFFER_ELEMENTS || memcmp(b->mask[0], b->mask[1], BUFFER_ELEMENTS) != 0)
        check_fail(c,
                   "%s %s %s, %zu elements, rows of %zu, pitch %" PRIu64 ", repeat %zu, unit %u, "
                   "offset %" PRIu64 ", differs in %zu tasks: %s, element %zu of the output",
                   operation_name(call.op), dtype_name(call.dtype), call.flat ? "flat" : "2d",
                   p->elements, p->shape.cols, p->shape.pitch, p->shape.mask_repeat, p->shape.unit,
                   cfg.offset, p->tasks, first < BUFFER_ELEMENTS ? "values" : "mask", first);
    expect_tasks(c, &count, p, operation_of_rows(call.op));
    c->cases++;
}

void check_parallel(struct check *c)
{
    struct buffers b = buffers_new();

    for (size_t i = 0; i < (c->thin > 1 ? 20 : 100); i++) {
        const struct plan p = random_plan(c, i % 3 != 0);
        const bitdrop_dtype t = (bitdrop_dtype)check_below(c, 4);

        fill_inputs(c, &b, t);
        for (int op = 0; op < BITDROP_OPERATION_COUNT; op++)
            if (c->thin == 1 || check_below(c, 2))
                compare_one(c, &b, &p, call_of(&p, &b, (enum bitdrop_operation)op, t));
    }
    buffers_free(&b);
}

/*
 * Checks where one task ends and the next begins, if they make bits. Two tasks that have parts of
 * the same tile both make it. So in a single row they must meet at the beginning of a tile, or less
 * than a mask byte after it. In several rows, whose tiles begin anywhere, they must meet a whole
 * number of tiles after the beginning of a row. The buffer consists of units of `elements` elements
 * and `bytes` bytes. The stride is in units, and 0 for a single row.
 */
static void expect_cuts(struct check *c, const struct plan *p, enum bitdrop_operation op,
                        const struct watched *w, size_t stride, size_t elements, size_t bytes)
{
    for (size_t unit = 1, i = bytes; i < w->bytes; unit++, i += bytes) {
        if (w->owner[i] == w->owner[i - bytes] || w->owner[i] == 0 || w->owner[i - bytes] == 0)
            continue;
        const size_t col = (stride == 0 ? unit : unit % stride) * elements;
        const bool good = p->shape.rows == 1 ? (p->cfg.offset + col) % TILE < 8 : col % TILE == 0;

        if (!good)
            check_fail(c,
                       "%s: tasks %d and %d meet within a tile, at column %zu of %zu x "
                       "%zu, offset %" PRIu64,
                       operation_name(op), w->owner[i - bytes], w->owner[i], col, p->shape.rows,
                       p->shape.cols, p->cfg.offset);
    }
}

/* No task writes the gaps between rows. Counts a gap as written by the task in front of it. */
static void fill_gaps(struct watched *w)
{
    for (size_t i = 1; i < w->bytes; i++)
        if (w->owner[i] == 0)
            w->owner[i] = w->owner[i - 1];
}

static void watch_one(struct check *c, const struct buffers *b, const struct plan *p,
                      enum bitdrop_operation op, bitdrop_dtype t, bool cuts)
{
    const bitdrop_2d filled = layout_filled(&p->shape);
    struct call call = call_of(p, b, op, t);
    bitdrop_config cfg = p->cfg;
    const bool uses_mask = operation_uses_mask(op, cfg.mask_use);
    const bool writes = uses_mask && operation_row(op)->bits == BITS_WRITTEN;
    const size_t y_bytes = filled.rows * filled.y_stride * dtype_bytes(t);
    struct watch w = {{{b->y[0], b->y[1], operation_has_data(op) ? y_bytes : 0, false},
                       {b->mask[0], b->mask[1], writes ? BUFFER_ELEMENTS : 0, false}}};
    const bitdrop_parallel parallel = {.run = watch_run, .context = &w, .tasks = p->tasks};
    struct watched *y = &w.buffer[0], *mask = &w.buffer[1];

    watch_clear(&w);
    cfg.parallel = &parallel;
    cfg.p = operation_p(op, cfg.p);
    call.cfg = &cfg;
    call.y = y->at;
    call.mask = uses_mask ? b->mask[0] : NULL;
    if (operation_row(op)->in[2] == IN_PROB)
        call.in[2] = b->prob[0];
    if (call_run(&call) != BITDROP_OK)
        check_fail(c, "%s is refused", operation_name(op));
    if (y->shared || mask->shared)
        check_fail(c, "%s: two tasks write the same byte of the %s; %zu x %zu, repeat %zu, unit %u",
                   operation_name(op), y->shared ? "output" : "mask", filled.rows, filled.cols,
                   filled.mask_repeat, filled.unit);
    if (cuts && operation_makes_bits(op, cfg.mask_use)) {
        fill_gaps(y);
        fill_gaps(mask);
        if (y->bytes > 0)
            expect_cuts(c, p, op, y, filled.rows == 1 ? 0 : filled.y_stride, 1, dtype_bytes(t));
        if (mask->bytes > 0)
            expect_cuts(c, p, op, mask, filled.rows == 1 ? 0 : filled.mask_stride, 8, 1);
    }
    c->cases++;
}

/* A third of the calls are flat, a third are on matrices that cannot be folded into one row, and a
 * third are on random matrices. */
void check_tasks(struct check *c)
{
    struct buffers b = buffers_new();

    for (size_t i = 0; i < (c->thin > 1 ? 44 : 132); i++) {
        const enum bitdrop_operation op = (enum bitdrop_operation)(i % BITDROP_OPERATION_COUNT);
        const bitdrop_dtype t = (bitdrop_dtype)check_below(c, 4);
        struct plan p = random_plan(c, i % 3 == 0);

        p.in_place = false;
        p.tasks = 2 + check_below(c, 6);
        if (i % 3 == 0) {
            p.n = ELEMENTS / 2 + check_below(c, ELEMENTS / 2);
            p.shape = (bitdrop_2d){.rows = 1, .cols = p.n};
        } else if (i % 3 == 1) {
            p.shape = (bitdrop_2d){.rows = 2 + check_below(c, 8), .cols = 10000};
            p.shape.cols += check_below(c, 10000);
            p.shape.pitch = p.shape.cols + 1 + check_below(c, 5000);
            p.shape.y_stride = p.shape.cols + 1 + check_below(c, 20);
        }
        fill_inputs(c, &b, t);
        watch_one(c, &b, &p, op, t, i % 3 != 2);
    }
    buffers_free(&b);
}
