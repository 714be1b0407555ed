/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are shared out among tasks leave the bytes of calls that are not. */
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "check.h"
#include "oracle.h"

enum { ELEMENTS = 200000, STRIDE_MORE = 24, TASK_ELEMENTS = 32768 /* or more */ };

/* Runs the tasks from the last to the first, and counts. */
struct backwards {
    size_t runs, tasks;
};

static void run_backwards(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                          void *argument)
{
    struct backwards *b = context;

    b->runs++;
    b->tasks = tasks;
    while (tasks-- > 0)
        task(argument, tasks);
}

/* x is read; y and mask, with what lies around them, are written by the call alone and by tasks. */
struct buffers {
    unsigned char *x, *y[2];
    uint8_t *mask[2];
    size_t y_bytes, mask_bytes;
};

static struct buffers buffers_new(void)
{
    struct buffers b = {.y_bytes = 2 * ELEMENTS * 8, .mask_bytes = 2 * ELEMENTS};

    b.x = malloc(b.y_bytes);
    for (int i = 0; i < 2; i++) {
        b.y[i] = malloc(b.y_bytes);
        b.mask[i] = malloc(b.mask_bytes);
    }
    return b;
}

static void buffers_free(struct buffers *b)
{
    free(b->x);
    for (int i = 0; i < 2; i++) {
        free(b->y[i]);
        free(b->mask[i]);
    }
}

/* A random matrix of about n elements; in_place it has one stride. */
static bitdrop_2d random_shape(struct check *c, size_t n, bool in_place)
{
    static const size_t columns[] = {1, 7, 100, 4096, 8192, 30000, ELEMENTS / 2};
    const size_t cols = columns[check_below(c, sizeof columns / sizeof *columns)];
    bitdrop_2d s = {.rows = n / cols + 1, .cols = cols};

    if (check_below(c, 2) == 0)
        s.pitch = cols + check_below(c, 5000);
    if (cols > STRIDE_MORE && check_below(c, 2) == 0) {
        s.x_stride = cols + check_below(c, STRIDE_MORE);
        s.y_stride = in_place ? s.x_stride : cols + check_below(c, STRIDE_MORE);
        s.mask_stride = bitdrop_mask_bytes(cols) + check_below(c, 3);
    }
    return s;
}

/* `most` tasks or fewer, each of enough elements to be worth it; one is no sharing. */
static void expect_tasks(struct check *c, const struct backwards *b, size_t elements, size_t most)
{
    const size_t worth = elements / TASK_ELEMENTS, tasks = worth < most ? worth : most;

    if (tasks > 1 ? b->runs != 1 || b->tasks != tasks : b->runs != 0)
        check_fail(c, "%zu elements, %zu tasks at most: %zu runs of %zu", elements, most, b->runs,
                   b->tasks);
}

static void compare_one(struct check *c, const struct buffers *b, struct call call, bool in_place,
                        size_t tasks)
{
    struct backwards count = {0, 0};
    const bitdrop_parallel parallel = {run_backwards, &count, tasks};
    const size_t elements = call.flat ? call.n : call.shape->rows * call.shape->cols;
    bitdrop_config cfg = *call.cfg;

    call.cfg = &cfg;
    for (int i = 0; i < 2; i++) {
        memcpy(b->y[i], b->x, b->y_bytes);
        memcpy(b->mask[i], b->x, b->mask_bytes); /* read by backward */
        cfg.parallel = i == 0 ? NULL : &parallel;
        call.x = in_place ? b->y[i] : b->x;
        call.y = b->y[i];
        call.mask = b->mask[i];
        if (call_run(&call) != BITDROP_OK)
            check_fail(c, "refused");
    }
    if (memcmp(b->y[0], b->y[1], b->y_bytes) != 0 ||
        memcmp(b->mask[0], b->mask[1], b->mask_bytes) != 0)
        check_fail(c, "%s %s, %zu elements, offset %llu, differs in %zu tasks",
                   operation_name(call.op), dtype_name(call.dtype), elements,
                   (unsigned long long)cfg.offset, tasks);
    expect_tasks(c, &count, elements, tasks);
    c->cases++;
}

void check_parallel(struct check *c)
{
    struct buffers b = buffers_new();

    for (size_t i = 0; i < 100 / c->thin; i++) {
        const size_t n = check_below(c, ELEMENTS), tasks = 1 + check_below(c, 9);
        const bool in_place = check_below(c, 3) == 0;
        const bitdrop_2d shape = random_shape(c, check_below(c, ELEMENTS / 2), in_place);
        const bitdrop_dtype t = (bitdrop_dtype)check_below(c, 4);
        bitdrop_config cfg = check_random_config(c);

        cfg.offset >>= 1;
        if (i % 2 == 0)
            cfg.offset = cfg.offset / 2048 * 2048;
        check_fill(c, t, b.x, b.y_bytes / oracle_bytes(t));
        for (int op = 0; op < OPERATIONS; op++) {
            const struct call call = {.op = (enum operation)op,
                                      .flat = i % 3 != 0,
                                      .cfg = &cfg,
                                      .dtype = t,
                                      .n = n,
                                      .shape = &shape};

            compare_one(c, &b, call, in_place && op != MASK, tasks);
        }
    }
    buffers_free(&b);
}
