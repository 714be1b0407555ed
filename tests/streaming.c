/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that a call makes streaming stores if and only if it is told to, and that every task ends
 * with a fence after them: without it a plain store of another thread could overtake them. Values
 * do not show a missing fence. So this file compiles the kernels of scalar with streaming stores
 * that count, and its table is linked instead of the library's. Kernels of other ISAs are compiled
 * from the same templates; check_streaming.sh looks for their instructions.
 *
 * Also checks that the outputs are the same by each way through memory that src/cpu/tuning.c may
 * choose.
 */
#include <stdio.h>
#include <string.h>

#define f32_stream uncounted_f32_stream
#define f64_stream uncounted_f64_stream
#define f16_stream uncounted_f16_stream
#define bf16_stream uncounted_bf16_stream
#define stream_fence uncounted_stream_fence
#include "scalar/vec.h"
#undef f32_stream
#undef f64_stream
#undef f16_stream
#undef bf16_stream
#undef stream_fence

static size_t streamed; /* bytes */
static bool unfenced;

#define COUNTED(T)                                                                                 \
    static inline void T##_stream(void *p, T##_packed a)                                           \
    {                                                                                              \
        streamed += sizeof a;                                                                      \
        unfenced = true;                                                                           \
        uncounted_##T##_stream(p, a);                                                              \
    }
COUNTED(f32)
COUNTED(f64)
COUNTED(f16)
COUNTED(bf16)

static inline void stream_fence(void)
{
    uncounted_stream_fence();
    unfenced = false;
}

#define TABLE bitdrop_kernels_scalar
#define ISA BITDROP_ISA_SCALAR
#define ATTENTION bitdrop_attention_scalar
#include "template/table.h"

#include "call.h"
#include "dispatch.h"

enum { ROWS = 3, COLS = 32 * 700, N = ROWS * COLS };

/* The ways through memory. The first one's bytes are what the others must write. */
static const struct way {
    uint8_t stores;
    struct bitdrop_tuning tuning;
} ways[] = {
    {BITDROP_STORES_CACHED, {.inputs_from = SIZE_MAX, .output_from = SIZE_MAX}},
    {BITDROP_STORES_CACHED, {.prefetch_ahead = 4096}},
    {BITDROP_STORES_STREAMING, {.prefetch_ahead = 4096, .streamed_inputs = true}},
    {BITDROP_STORES_STREAMING, {.pages_in_turn = true}},
};
enum { WAYS = sizeof ways / sizeof *ways };

static size_t failures, cases;

static void fail(const struct call *call, const char *what)
{
    printf("%s %s, stores %u, mask_use %u: %s: %zu bytes streamed\n", operation_name(call->op),
           dtype_name(call->dtype), call->cfg->stores, call->cfg->mask_use, what, streamed);
    failures++;
}

static size_t tasks_run;
static bool task_ends_unfenced;

static void run_tasks(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                      void *argument)
{
    (void)context;
    tasks_run = tasks;
    for (size_t i = 0; i < tasks; i++) {
        unfenced = false;
        task(argument, i);
        task_ends_unfenced |= unfenced;
    }
}

/* A call on rows with gaps, with one decision for each element or each row. */
static void check_call(enum bitdrop_operation op, bitdrop_dtype t, bitdrop_config *cfg,
                       unsigned unit, size_t way)
{
    enum { BYTES_OF_ALL = (N + 8 * ROWS) * 8 };
    static _Alignas(64) unsigned char in[3][BYTES_OF_ALL], y[WAYS][BYTES_OF_ALL];
    static uint8_t mask[WAYS][N / 8];
    const size_t stride = COLS + 8;
    const bitdrop_2d shape = {.rows = ROWS,
                              .cols = COLS,
                              .x_stride = stride,
                              .y_stride = stride,
                              .z_stride = stride,
                              .unit = (uint8_t)unit};
    const bool wanted = ways[way].stores == BITDROP_STORES_STREAMING;
    struct call call = {.op = op,
                        .cfg = cfg,
                        .dtype = t,
                        .shape = &shape,
                        .in = {in[0], in[1], in[2]},
                        .y = y[way],
                        .mask = operation_uses_mask(op, cfg->mask_use) ? mask[way] : NULL};

    for (size_t i = 0; i < BYTES_OF_ALL; i++) /* small positive numbers in every dtype */
        in[0][i] = in[1][i] = in[2][i] = (unsigned char)(i * 7 % 0x3D);
    memset(mask[way], 0x5A, sizeof mask[way]);
    cfg->stores = ways[way].stores;
    bitdrop_set_tuning(&ways[way].tuning);
    streamed = tasks_run = 0;
    unfenced = task_ends_unfenced = false;
    const bitdrop_status status = call_run(&call);

    if (status != BITDROP_OK)
        fail(&call, bitdrop_status_string(status));
    if (wanted ? streamed < N * dtype_bytes(t) / 10 * 9 : streamed > 0)
        fail(&call, wanted ? "too few streaming stores" : "streaming stores not asked for");
    if (tasks_run < 2)
        fail(&call, "not cut into tasks");
    if (unfenced || task_ends_unfenced)
        fail(&call, "no fence after streaming stores");
    if (memcmp(y[0], y[way], sizeof y[0]) != 0 || memcmp(mask[0], mask[way], N / 8) != 0)
        fail(&call, "differs from the first way");
    cases++;
}

int main(void)
{
    const bitdrop_parallel parallel = {.run = run_tasks, .tasks = 3};

    for (int i = 0; i < BITDROP_OPERATION_COUNT * BITDROP_DTYPE_COUNT * 4; i++) {
        const enum bitdrop_operation op = (enum bitdrop_operation)(i / 4 / BITDROP_DTYPE_COUNT);
        bitdrop_config cfg = {
            .p = operation_p(op, 0.3),
            .scaling = BITDROP_SCALE_INFER, /* with the other scaling inference only copies */
            .isa = BITDROP_ISA_SCALAR,
            .mask_use = (uint8_t)(i % 2),
            .parallel = &parallel};

        for (size_t way = 0; operation_has_data(op) && way < WAYS; way++)
            check_call(op, (bitdrop_dtype)(i / 4 % BITDROP_DTYPE_COUNT), &cfg, i / 2 % 2, way);
    }
    printf("%zu cases, %zu failures\n", cases, failures);
    return failures > 0 || cases == 0;
}
