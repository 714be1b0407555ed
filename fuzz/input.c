/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_one(&(struct fuzz_input){data, size}) ? 0 : -1; /* -1: not for the corpus */
}

/* A number made of the next input bytes. */
static uint64_t read_bytes(struct fuzz_input *in, size_t bytes)
{
    uint64_t x = 0;

    for (; bytes > 0 && in->left > 0; bytes--, in->left--)
        x = x << 8 | *in->at++;
    return x;
}

size_t fuzz_below(struct fuzz_input *in, size_t n)
{
    return (size_t)(read_bytes(in, n <= 256 ? 1 : n <= 65536 ? 2 : 4) % n);
}

bool fuzz_once_in(struct fuzz_input *in, size_t n) { return fuzz_below(in, n) == n - 1; }

uint64_t fuzz_number(struct fuzz_input *in)
{
    const size_t kind = fuzz_below(in, 5);
    const uint64_t near = (uint64_t)fuzz_below(in, 64) - 32;

    switch (kind) {
    case 0:
        return near;
    case 1:
        return (UINT64_C(1) << fuzz_below(in, 64)) + near;
    case 2:
        return UINT64_MAX / (1 + fuzz_below(in, 64)) + near;
    case 3:
        return fuzz_below(in, 65536);
    default:
        return read_bytes(in, 8);
    }
}

void fuzz_change(struct fuzz_input *in, void *object, size_t size)
{
    const size_t bytes = (size_t)1 << fuzz_below(in, 4);
    const size_t at = fuzz_below(in, size / bytes) * bytes;
    const uint64_t x = fuzz_number(in);
    unsigned char *p = (unsigned char *)object + at;

    switch (bytes) {
    case 1:
        *p = (unsigned char)x;
        break;
    case 2:
        memcpy(p, &(uint16_t){(uint16_t)x}, 2);
        break;
    case 4:
        memcpy(p, &(uint32_t){(uint32_t)x}, 4);
        break;
    default:
        memcpy(p, &x, 8);
    }
}

bitdrop_config fuzz_config(struct fuzz_input *in, uint64_t indices)
{
    static const uint8_t rounds[] = {0, 10, 7};
    bitdrop_config cfg = {.p = 0.5};
    const size_t p = fuzz_below(in, 256), place = fuzz_below(in, 4);

    if (p > 0)
        cfg.p = p <= check_probability_count ? check_probabilities[p - 1] : (double)p / 256;
    cfg.seed = read_bytes(in, 3) * UINT64_C(0x9E3779B97F4A7C15);
    cfg.stream = (uint32_t)fuzz_below(in, 256) * UINT32_C(0x01010101);
    cfg.rounds = rounds[fuzz_below(in, 3)];
    cfg.scaling = (uint8_t)fuzz_below(in, 2);
    cfg.stores = (uint8_t)fuzz_below(in, 3);
    if (place == 1)
        cfg.offset = fuzz_below(in, 65536);
    else if (place == 2)
        cfg.offset = (UINT64_C(1) << (11 + fuzz_below(in, 52))) - fuzz_below(in, 65536);
    else if (place == 3) /* the indices end at the last legal one, or one too far */
        cfg.offset = -indices + fuzz_once_in(in, 4);
    return cfg;
}

void fuzz_change_config(struct fuzz_input *in, bitdrop_config *cfg)
{
    static const double bad[] = {NAN, -0x1p-1074, 1 + 0x1p-52, INFINITY};

    switch (fuzz_below(in, 4)) {
    case 0:
        cfg->p = bad[fuzz_below(in, 4)];
        break;
    case 1:
        cfg->isa = (uint8_t)fuzz_number(in);
        break;
    default:
        fuzz_change(in, cfg, sizeof *cfg);
    }
}

/* Runs all tasks, in one of several orders. */
static void run_in_order(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                         void *argument)
{
    struct fuzz_parallel *p = context;
    const size_t step = 1 + p->order;

    p->runs++;
    if (tasks == 0 || tasks > p->parallel.tasks)
        fuzz_fail("run is called with %zu tasks, not 1 to %zu", tasks, p->parallel.tasks);
    for (size_t first = step; first-- > 0;)
        for (size_t i = first; i < tasks; i += step)
            task(argument, i);
}

const bitdrop_parallel *fuzz_parallel(struct fuzz_input *in, struct fuzz_parallel *p)
{
    const size_t kind = fuzz_below(in, 4);

    *p = (struct fuzz_parallel){.parallel = {.run = run_in_order, .context = p, .tasks = 2},
                                .order = kind};
    if (kind == 0)
        return NULL;
    if (kind == 1 && fuzz_once_in(in, 8))
        fuzz_change(in, &p->parallel.tasks, sizeof p->parallel - offsetof(bitdrop_parallel, tasks));
    else if (kind == 1 && fuzz_once_in(in, 16))
        p->parallel.run = NULL;
    else
        p->parallel.tasks = 1 + fuzz_below(in, 9);
    return &p->parallel;
}

bool fuzz_parallel_is_right(const bitdrop_parallel *p)
{
    return p == NULL ||
           (p->run != NULL && p->tasks >= 1 && p->reserved[0] == 0 && p->reserved[1] == 0);
}

bitdrop_status fuzz_config_status(const bitdrop_config *cfg)
{
    const uint8_t none[3] = {0};

    if (!(cfg->p >= 0) || !(cfg->p <= 1))
        return BITDROP_ERR_PROBABILITY;
    if (cfg->rounds != 0 && cfg->rounds != 7 && cfg->rounds != 10)
        return BITDROP_ERR_CONFIG;
    if (cfg->scaling > 1 || cfg->stores > 2 || cfg->mask_use > 1)
        return BITDROP_ERR_CONFIG;
    if (cfg->reserved32 != 0 || memcmp(cfg->reserved8, none, 3) != 0 || cfg->reserved[0] != 0 ||
        cfg->reserved[1] != 0 || !fuzz_parallel_is_right(cfg->parallel))
        return BITDROP_ERR_CONFIG;
    return BITDROP_OK;
}

void fuzz_fail(const char *format, ...)
{
    va_list args;

    fputs("FAIL ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}
