/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests the callback `run` of bitdrop_parallel. It may run the tasks in any order, at the same
 * time, on other threads, and with calls of the library between them: thousands of such calls must
 * write the same bytes as calls on one thread. If it breaks its contract, outputs may be wrong, but
 * no byte outside of them may be written. This is a separate program, because Criterion aborts
 * under ThreadSanitizer and MemorySanitizer.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bitdrop/bitdrop.h"
#include "runs.h"

enum {
    ROWS = 70,
    COLS = 2003,
    N = ROWS * COLS,
    MASK_BYTES = (N + 7) / 8,
    TASKS = 4, /* a call on N elements is cut into at most this many */
    CALLS = 2000,
    EDGE = 4096 /* bytes in front of and behind each output, which nobody may write */
};

static float x[N];

static bitdrop_status forward(const bitdrop_config *cfg, float *y, uint8_t *mask)
{
    return bitdrop_forward(cfg, BITDROP_F32, N, x, y, mask);
}

/* Runs the first task, makes a call that is cut into tasks too, and then runs the other tasks. */
static void run_nested(void *context, size_t tasks, runs_task *task, void *argument)
{
    static float y[N];
    static uint8_t mask[MASK_BYTES];
    const bitdrop_parallel inner = {.run = runs_at_once, .tasks = TASKS};
    const bitdrop_config cfg = {.p = 0.25, .seed = 9, .parallel = &inner};

    task(argument, 0);
    if (forward(&cfg, y, mask) != BITDROP_OK)
        *(bool *)context = false;
    for (size_t i = 1; i < tasks; i++)
        task(argument, i);
}

/* A call on a second thread, while the first thread makes the same call. */
struct twin {
    const bitdrop_config *cfg;
    float *y;
    uint8_t *mask;
    bitdrop_status status;
};

static void *run_twin(void *twin)
{
    struct twin *t = twin;

    t->status = forward(t->cfg, t->y, t->mask);
    return NULL;
}

static bool same(const float *y, const uint8_t *mask, const float *right_y,
                 const uint8_t *right_mask)
{
    return memcmp(y, right_y, N * sizeof *y) == 0 && memcmp(mask, right_mask, MASK_BYTES) == 0;
}

/* Makes call i on one thread, then by a callback, and by runs_at_once on two threads at the same
 * time too. */
static bool call_is_right(size_t i)
{
    static runs_run *const runs[] = {runs_backwards, runs_elsewhere, runs_at_once, run_nested};
    static float y[3][N];
    static uint8_t mask[3][MASK_BYTES];
    const size_t which = i % (sizeof runs / sizeof *runs);
    bool inner = true;
    const bitdrop_parallel parallel = {
        .run = runs[which], .context = &inner, .tasks = 2 + i / 4 % (TASKS - 1)};
    bitdrop_config cfg = {.p = (double)(i % 10) / 10, .seed = i, .offset = 31 * i};
    struct twin twin = {&cfg, y[2], mask[2], BITDROP_OK};
    const bool twice = runs[which] == runs_at_once; /* run_nested has static buffers */

    if (forward(&cfg, y[0], mask[0]) != BITDROP_OK)
        return false;
    cfg.parallel = &parallel;
    const pthread_t other = twice ? runs_start(run_twin, &twin) : pthread_self();
    const bitdrop_status status = forward(&cfg, y[1], mask[1]);

    if (twice)
        pthread_join(other, NULL);
    return inner && status == BITDROP_OK && same(y[1], mask[1], y[0], mask[0]) &&
           (!twice || (twin.status == BITDROP_OK && same(y[2], mask[2], y[0], mask[0])));
}

/* Callbacks that break the contract: they leave out a task, or run one twice. */

static void run_all_but_one(void *context, size_t tasks, runs_task *task, void *argument)
{
    const size_t missing = *(const size_t *)context;

    for (size_t i = 0; i < tasks; i++)
        if (i != missing)
            task(argument, i);
}

static void run_one_twice(void *context, size_t tasks, runs_task *task, void *argument)
{
    for (size_t i = 0; i < tasks; i++)
        task(argument, i);
    task(argument, *(const size_t *)context);
}

static void run_none(void *context, size_t tasks, runs_task *task, void *argument)
{
    (void)context;
    (void)tasks;
    (void)task;
    (void)argument;
}

/* An output with EDGE bytes on both sides, which must not change. */
struct guarded {
    unsigned char *bytes;
    size_t size;
};

static struct guarded guarded_new(size_t size)
{
    struct guarded g = {malloc(size + 2 * EDGE), size};

    if (g.bytes == NULL)
        exit(2);
    memset(g.bytes, 0x5A, size + 2 * EDGE);
    return g;
}

static bool guarded_free(struct guarded g)
{
    bool whole = true;

    for (size_t i = 0; i < EDGE; i++)
        whole &= g.bytes[i] == 0x5A && g.bytes[EDGE + g.size + i] == 0x5A;
    free(g.bytes);
    return whole;
}

/* Makes each kind of call that is cut into tasks: flat, with mask rows that rows share, and
 * attention. */
static bool broken_call_stays_inside(const bitdrop_parallel *parallel)
{
    enum { HEADS = 8, LENGTH = 192, DIM = 8, VALUES = HEADS * LENGTH * DIM };
    const bitdrop_attention a = {
        .batch = 1, .heads = HEADS, .queries = LENGTH, .keys = LENGTH, .dim = DIM};
    const bitdrop_2d shared = {.rows = ROWS, .cols = COLS, .mask_repeat = 2};
    const bitdrop_config cfg = {.p = 0.5, .seed = 3, .parallel = parallel};
    const size_t scratch_bytes = bitdrop_attention_scratch_bytes(&cfg, BITDROP_F32, &a);
    struct guarded y = guarded_new(N * sizeof *x), mask = guarded_new(MASK_BYTES + ROWS);
    struct guarded out = guarded_new(VALUES * sizeof *x), dq = guarded_new(VALUES * sizeof *x);
    struct guarded dk = guarded_new(VALUES * sizeof *x), dv = guarded_new(VALUES * sizeof *x);
    struct guarded lse = guarded_new(HEADS * LENGTH * sizeof *x);
    struct guarded bits = guarded_new(HEADS * LENGTH * LENGTH / 8);
    struct guarded scratch = guarded_new(scratch_bytes + 64);
    unsigned char *const at_scratch = scratch.bytes + EDGE;
    void *const aligned = at_scratch + -(uintptr_t)at_scratch % 64;
    unsigned char *const at_y = y.bytes + EDGE, *const at_mask = mask.bytes + EDGE;
    bool right = true;

    right &= bitdrop_forward(&cfg, BITDROP_F32, N, x, at_y, at_mask) == BITDROP_OK;
    right &= bitdrop_forward_2d(&cfg, BITDROP_F32, &shared, x, at_y, at_mask) == BITDROP_OK;
    right &= bitdrop_attention_forward(&cfg, BITDROP_F32, &a, x, x, x, out.bytes + EDGE,
                                       lse.bytes + EDGE, bits.bytes + EDGE, aligned) == BITDROP_OK;
    right &= bitdrop_attention_backward(&cfg, BITDROP_F32, &a, x, x, x, x, out.bytes + EDGE,
                                        lse.bytes + EDGE, dq.bytes + EDGE, dk.bytes + EDGE,
                                        dv.bytes + EDGE, bits.bytes + EDGE, aligned) == BITDROP_OK;
    const struct guarded all[] = {y, mask, out, dq, dk, dv, lse, bits, scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        right &= guarded_free(all[i]);
    return right;
}

int main(void)
{
    for (size_t i = 0; i < N; i++)
        x[i] = (float)(1 + i % 7);
    for (size_t i = 0; i < CALLS; i++)
        if (!call_is_right(i)) {
            fprintf(stderr, "call %zu in tasks differs from the same call on one thread\n", i);
            return 1;
        }
    for (size_t i = 0; i < TASKS; i++) {
        const bitdrop_parallel broken[] = {
            {.run = run_all_but_one, .context = &i, .tasks = TASKS},
            {.run = run_one_twice, .context = &(size_t){i < 2 ? i : 1}, .tasks = TASKS},
            {.run = run_none, .tasks = TASKS}};

        for (size_t b = 0; b < sizeof broken / sizeof *broken; b++)
            if (!broken_call_stays_inside(&broken[b])) {
                fprintf(stderr,
                        "broken callback %zu, task %zu: a call fails, or writes outside of its "
                        "outputs\n",
                        b, i);
                return 1;
            }
    }
    if (!call_is_right(CALLS)) {
        fputs("after broken callbacks a call in tasks differs from the same call on one thread\n",
              stderr);
        return 1;
    }
    return 0;
}
