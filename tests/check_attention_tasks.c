/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How attention shares its work: each task has some, if there is enough, and scratch memory stays
 * small. Results are right without that, but slow.
 */
#include "check.h"

static void run_one(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                    void *argument)
{
    const size_t index = *(const size_t *)context;

    if (index < tasks)
        task(argument, index);
}

enum { TASKS = 4, MOST_ROWS = 4096 };

/*
 * Makes a call with inputs of 0, and runs one of its tasks. Returns how many rows of out, or of dk,
 * this task wrote.
 */
static size_t rows_of_task(struct check *c, const bitdrop_attention *a, bool backward, size_t index)
{
    static const float x[MOST_ROWS], lse[MOST_ROWS];
    static float out[MOST_ROWS], dq[MOST_ROWS], dv[MOST_ROWS];
    static _Alignas(64) unsigned char scratch[1 << 22];
    const bitdrop_parallel parallel = {.run = run_one, .context = &index, .tasks = TASKS};
    const bitdrop_config cfg = {
        .p = 0.5, .isa = (uint8_t)c->isa, .mask_use = BITDROP_MASK_REMADE, .parallel = &parallel};
    size_t written = 0;

    for (size_t i = 0; i < MOST_ROWS; i++)
        out[i] = 1;
    if (bitdrop_attention_scratch_bytes(&cfg, BITDROP_F32, a) > sizeof scratch ||
        (backward ? bitdrop_attention_backward(&cfg, BITDROP_F32, a, x, x, x, x, x, lse, dq, out,
                                               dv, NULL, scratch)
                  : bitdrop_attention_forward(&cfg, BITDROP_F32, a, x, x, x, out, NULL, NULL,
                                              scratch)) != BITDROP_OK)
        check_fail(c, "attention in %d tasks is refused", TASKS);
    for (size_t i = 0; i < MOST_ROWS; i++)
        written += out[i] == 0;
    return written;
}

/* If tasks share the keys of a head, at most eight chunks of keys have a gradient of q each. */
static void expect_few_gradients(struct check *c)
{
    enum { QUERIES = 4096, DIM = 16, CHUNKS = 8 };
    const bitdrop_parallel parallel = {.run = run_one, .tasks = TASKS};
    const bitdrop_config cfg = {.isa = (uint8_t)c->isa, .parallel = &parallel};
    bitdrop_attention a = {
        .batch = 1, .heads = 1, .kv_heads = 1, .queries = QUERIES, .keys = 1 << 16, .dim = DIM};
    const size_t bytes = bitdrop_attention_scratch_bytes(&cfg, BITDROP_F32, &a);

    a.queries += QUERIES;
    const size_t more = bitdrop_attention_scratch_bytes(&cfg, BITDROP_F32, &a) - bytes;
    if (bytes == 0 || more > CHUNKS * QUERIES * DIM * sizeof(float))
        check_fail(c, "attention: scratch memory grows by %zu bytes for %d queries", more, QUERIES);
    c->cases++;
}

void check_attention_tasks(struct check *c)
{
    const bitdrop_attention calls[] = {
        /* heads that share one of k and v */
        {.batch = 1, .heads = 4, .kv_heads = 1, .queries = 1024, .keys = 64, .dim = 1},
        /* fewer heads than tasks */
        {.batch = 1, .heads = 3, .kv_heads = 1, .queries = 1024, .keys = 64, .dim = 1},
        /* more keys than queries: backward */
        {.batch = 1, .heads = 2, .kv_heads = 2, .queries = 64, .keys = 2048, .dim = 1},
        /* the fewest scores of two tasks */
        {.batch = 1, .heads = 2, .kv_heads = 2, .queries = 512, .keys = 64, .dim = 1}};

    expect_few_gradients(c);

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const bool backward = calls[i].keys > calls[i].queries;
        const size_t rows =
            backward ? calls[i].kv_heads * calls[i].keys : calls[i].heads * calls[i].queries;
        const size_t tasks = calls[i].heads * calls[i].queries * calls[i].keys / TASK_ELEMENTS;

        for (size_t index = 0; index < TASKS && index < tasks; index++) {
            const size_t written = rows_of_task(c, &calls[i], backward, index);

            if (written == 0 || written == rows)
                check_fail(c, "attention of %zu heads: task %zu writes %zu of %zu rows",
                           calls[i].heads, index, written, rows);
            c->cases++;
        }
    }
}
