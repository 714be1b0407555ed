/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the first calls of the process from many threads at the same time, each on its part of one
 * tensor. Half of them name an ISA. Then makes calls that are cut into tasks for threads. This is a
 * separate program, because Criterion aborts under ThreadSanitizer.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bitdrop/bitdrop.h"
#include "runs.h"

enum {
    THREADS = 32,
    PART = 1000, /* a multiple of 8, but not of 16 */
    WHOLE = THREADS * PART
};

static const bitdrop_config config = {.p = 0.1, .seed = 1, .offset = 77};
static pthread_barrier_t start;
static float x[WHOLE], y[WHOLE], whole_y[WHOLE];
static uint8_t mask[WHOLE / 8], whole_mask[WHOLE / 8];
static bitdrop_status statuses[THREADS];
static bitdrop_isa defaults[THREADS];

static void *first_call(void *index)
{
    const size_t i = *(const size_t *)index;
    bitdrop_config cfg = config;

    cfg.offset += i * PART;
    cfg.isa = i % 2 ? BITDROP_ISA_SCALAR : BITDROP_ISA_AUTO;
    pthread_barrier_wait(&start);
    statuses[i] =
        bitdrop_forward(&cfg, BITDROP_F32, PART, x + i * PART, y + i * PART, mask + i * PART / 8);
    defaults[i] = bitdrop_isa_default();
    return NULL;
}

/* Offset and length are odd, so that cuts at multiples of 8 of the index would lie within mask
 * bytes. */
static bool shared_call_is_right(void)
{
    enum { N = 1 << 20, ODD = N - 3, TASKS = 5 };
    static float in[N], out[N], alone[N];
    static uint8_t bits[N / 8], bits_alone[N / 8];
    const bitdrop_parallel parallel = {.run = runs_at_once, .tasks = TASKS};
    bitdrop_config cfg = config;

    for (size_t i = 0; i < N; i++)
        in[i] = (float)i;
    if (bitdrop_forward(&cfg, BITDROP_F32, ODD, in, alone, bits_alone) != BITDROP_OK)
        return false;
    cfg.parallel = &parallel;
    return bitdrop_forward(&cfg, BITDROP_F32, ODD, in, out, bits) == BITDROP_OK &&
           memcmp(out, alone, sizeof out) == 0 && memcmp(bits, bits_alone, sizeof bits) == 0;
}

/* Rows that share a mask: the mask must be complete before any task reads it. */
static bool shared_rows_are_right(uint32_t unit)
{
    enum { ROWS = 1030, COLS = 1001, TASKS = 5 };
    static float in[ROWS * COLS], out[ROWS * COLS], alone[ROWS * COLS];
    static uint8_t bits[ROWS * COLS], bits_alone[ROWS * COLS];
    const bitdrop_parallel parallel = {.run = runs_at_once, .tasks = TASKS};
    const bitdrop_2d shape = {.rows = ROWS, .cols = COLS, .mask_repeat = 3, .unit = unit};
    bitdrop_config cfg = config;

    for (size_t i = 0; i < ROWS * COLS; i++)
        in[i] = (float)i;
    if (bitdrop_forward_2d(&cfg, BITDROP_F32, &shape, in, alone, bits_alone) != BITDROP_OK)
        return false;
    cfg.parallel = &parallel;
    return bitdrop_forward_2d(&cfg, BITDROP_F32, &shape, in, out, bits) == BITDROP_OK &&
           memcmp(out, alone, sizeof out) == 0 && memcmp(bits, bits_alone, sizeof bits) == 0;
}

int main(void)
{
    pthread_t threads[THREADS];
    size_t index[THREADS];
    bool right = true;

    for (size_t i = 0; i < WHOLE; i++)
        x[i] = (float)i;
    pthread_barrier_init(&start, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        index[i] = i;
        threads[i] = runs_start(first_call, &index[i]);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    for (size_t i = 0; i < THREADS; i++) {
        if (statuses[i] == BITDROP_OK && defaults[i] == defaults[0])
            continue;
        fprintf(stderr, "thread %zu: status %d, default %s, thread 0: %s\n", i, statuses[i],
                bitdrop_isa_name(defaults[i]), bitdrop_isa_name(defaults[0]));
        right = false;
    }
    if (bitdrop_forward(&config, BITDROP_F32, WHOLE, x, whole_y, whole_mask) != BITDROP_OK ||
        memcmp(y, whole_y, sizeof y) != 0 || memcmp(mask, whole_mask, sizeof mask) != 0) {
        fputs("the parts differ from the whole\n", stderr);
        right = false;
    }
    if (!shared_call_is_right() || !shared_rows_are_right(BITDROP_EACH_ELEMENT) ||
        !shared_rows_are_right(BITDROP_EACH_ROW)) {
        fputs("a call in tasks differs from the same call on one thread\n", stderr);
        right = false;
    }
    return right ? 0 : 1;
}
