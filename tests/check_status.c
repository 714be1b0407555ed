/* SPDX-License-Identifier: Apache-2.0 */
/* The status table: each row, in its order, and nothing written on an error. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "check.h"

enum { N = 100 };

/* A call with its config and shape, either of which a test may change or leave out. */
struct arguments {
    struct call call;
    bitdrop_config cfg;
    bitdrop_2d shape;
};

static float x[N * 4], y[N * 4];
static uint8_t mask[N * 4];

static struct arguments good(struct check *c, bool flat)
{
    static const bitdrop_config some_config;
    static const bitdrop_2d some_shape;

    return (struct arguments){
        /* The pointers stand for the config and shape beside them, unless a test sets them NULL. */
        .call = {MASK, flat, &some_config, BITDROP_F32, N, &some_shape, x, y, mask},
        .cfg = {.p = 0.25, .seed = 5, .isa = (uint8_t)c->isa},
        .shape = {.rows = 4, .cols = N / 4},
    };
}

/* Sets of operations. */
enum {
    GENERATING = 1 << MASK | 1 << FORWARD | 1 << RECOMPUTE,
    MASKED = 1 << MASK | 1 << FORWARD | 1 << BACKWARD,
    BOTH = 1 << FORWARD | 1 << BACKWARD, /* data and a mask */
    UNMASKED = 1 << RECOMPUTE | 1 << INFER,
    DATA = BOTH | UNMASKED,
    ALL = 1 << MASK | DATA
};

static bitdrop_status run(const struct arguments *a, enum operation op)
{
    struct call call = a->call;

    call.op = op;
    if (call.cfg != NULL)
        call.cfg = &a->cfg;
    if (call.shape != NULL)
        call.shape = &a->shape;
    return call_run(&call);
}

/* Each operation of the set returns the status; if that is an error, nothing is written. */
static void expect(struct check *c, const char *what, struct arguments a, int operations,
                   bitdrop_status wanted)
{
    static unsigned char before[sizeof x + sizeof y + sizeof mask], after[sizeof before];

    for (int i = 0; i < OPERATIONS; i++) {
        if (!(operations >> i & 1))
            continue;
        for (size_t j = 0; j < sizeof before; j++)
            before[j] = (unsigned char)check_random(c);
        memcpy(x, before, sizeof x);
        memcpy(y, before + sizeof x, sizeof y);
        memcpy(mask, before + sizeof x + sizeof y, sizeof mask);
        const bitdrop_status got = run(&a, (enum operation)i);

        if (got != wanted)
            check_fail(c, "%s%s, %s: status %d, not %d", operation_name((enum operation)i),
                       a.call.flat ? "" : "_2d", what, got, wanted);
        memcpy(after, x, sizeof x);
        memcpy(after + sizeof x, y, sizeof y);
        memcpy(after + sizeof x + sizeof y, mask, sizeof mask);
        if (got != BITDROP_OK && memcmp(before, after, sizeof before) != 0)
            check_fail(c, "%s, %s: written on an error", operation_name((enum operation)i), what);
        c->cases++;
    }
}

#define EXPECT(change, operations, status)                                                         \
    do {                                                                                           \
        struct arguments a = good(c, flat);                                                        \
        change;                                                                                    \
        expect(c, #change, a, operations, status);                                                 \
    } while (0)

static void run_nothing(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                        void *argument)
{
    (void)context;
    (void)tasks;
    (void)task;
    (void)argument;
}

static const bitdrop_parallel no_run = {NULL, NULL, 2}, no_tasks = {run_nothing, NULL, 0};

static void expect_arguments(struct check *c, bool flat)
{
    EXPECT((void)0, ALL, BITDROP_OK);

    EXPECT(a.call.cfg = NULL, ALL, BITDROP_ERR_NULL);
    EXPECT(a.call.x = NULL, DATA, BITDROP_ERR_NULL);
    EXPECT(a.call.y = NULL, DATA, BITDROP_ERR_NULL);
    EXPECT(a.call.mask = NULL, MASKED, BITDROP_ERR_NULL);
    EXPECT(a.call.mask = NULL, UNMASKED, BITDROP_OK);

    EXPECT(a.cfg.p = -0x1p-1074, ALL, BITDROP_ERR_PROBABILITY);
    EXPECT(a.cfg.p = 1 + 0x1p-52, ALL, BITDROP_ERR_PROBABILITY);
    EXPECT(a.cfg.p = NAN, ALL, BITDROP_ERR_PROBABILITY);
    EXPECT(a.cfg.p = INFINITY, ALL, BITDROP_ERR_PROBABILITY);
    EXPECT(a.cfg.p = -0.0, ALL, BITDROP_OK);

    for (int rounds = 0; rounds < 256; rounds++)
        EXPECT(a.cfg.rounds = (uint8_t)rounds, ALL,
               rounds == 0 || rounds == 7 || rounds == 10 ? BITDROP_OK : BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.scaling = 2, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.stores = 3, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.parallel = &no_run, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.parallel = &no_tasks, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.reserved[0] = 1, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.reserved[1] = 1, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.reserved[2] = UINT64_C(1) << 63, ALL, BITDROP_ERR_CONFIG);

    EXPECT(a.call.dtype = (bitdrop_dtype)4, DATA, BITDROP_ERR_DTYPE);
    EXPECT(a.call.dtype = (bitdrop_dtype)-1, DATA, BITDROP_ERR_DTYPE);

    for (int isa = 0; isa < 256; isa++)
        EXPECT(a.cfg.isa = (uint8_t)isa, ALL,
               isa <= BITDROP_ISA_NEON && bitdrop_isa_supported((bitdrop_isa)isa)
                   ? BITDROP_OK
                   : BITDROP_ERR_ISA);

    EXPECT(a.cfg.offset = -(uint64_t)N, ALL, BITDROP_OK);
    EXPECT(a.cfg.offset = -(uint64_t)N + 1, GENERATING, BITDROP_ERR_RANGE);
    EXPECT(a.cfg.offset = -(uint64_t)N + 1, ALL & ~GENERATING, BITDROP_OK);
}

/* Of two faults the one that stands higher in the table is told. */
static void expect_order(struct check *c, bool flat)
{
    EXPECT((a.call.x = NULL, a.call.mask = NULL, a.cfg.p = 2), MASKED, BITDROP_ERR_NULL);
    EXPECT((a.cfg.p = 2, a.cfg.rounds = 1), ALL, BITDROP_ERR_PROBABILITY);
    EXPECT((a.cfg.rounds = 1, a.call.dtype = (bitdrop_dtype)9), DATA, BITDROP_ERR_CONFIG);
    EXPECT((a.cfg.isa = 99, a.call.dtype = (bitdrop_dtype)9), DATA, BITDROP_ERR_DTYPE);
    EXPECT((a.cfg.isa = 99, a.cfg.offset = UINT64_MAX), ALL, BITDROP_ERR_ISA);
    EXPECT((a.cfg.offset = UINT64_MAX, a.call.y = x + 1), GENERATING, BITDROP_ERR_RANGE);
    EXPECT(a.call.y = x + 1, DATA, BITDROP_ERR_OVERLAP);
}

/* Without elements no buffer is needed, but the config is still checked. */
static void expect_empty(struct check *c, bool flat)
{
#define EMPTY (a.call.n = 0, a.shape.rows = 0, a.call.x = NULL, a.call.y = NULL, a.call.mask = NULL)
    EXPECT(EMPTY, ALL, BITDROP_OK);
    EXPECT((EMPTY, a.call.cfg = NULL), ALL, BITDROP_ERR_NULL);
    EXPECT((EMPTY, a.cfg.p = 2), ALL, BITDROP_ERR_PROBABILITY);
    EXPECT((EMPTY, a.cfg.rounds = 1), ALL, BITDROP_ERR_CONFIG);
    EXPECT((EMPTY, a.call.dtype = (bitdrop_dtype)4), DATA, BITDROP_ERR_DTYPE);
    EXPECT((EMPTY, a.cfg.isa = 99), ALL, BITDROP_ERR_ISA);
    EXPECT((EMPTY, a.cfg.offset = UINT64_MAX), ALL, BITDROP_OK);
    EXPECT((EMPTY, a.shape.rows = 5, a.shape.cols = 0), ALL, BITDROP_OK);
#undef EMPTY
}

/* What needs no call: each status has a sentence of its own, and the version is the header's. */
static void expect_strings(struct check *c)
{
    char version[32];

    snprintf(version, sizeof version, "%d.%d.%d", BITDROP_VERSION_MAJOR, BITDROP_VERSION_MINOR,
             BITDROP_VERSION_PATCH);
    if (strcmp(bitdrop_version(), version) != 0)
        check_fail(c, "version %s, the header says %s", bitdrop_version(), version);
    for (int i = 0; i <= BITDROP_ERR_OVERLAP + 1; i++)
        for (int j = 0; j < i; j++)
            if (strcmp(bitdrop_status_string((bitdrop_status)i),
                       bitdrop_status_string((bitdrop_status)j)) == 0)
                check_fail(c, "statuses %d and %d have one sentence", i, j);
    for (size_t n = 0; n < 100; n++)
        if (bitdrop_mask_bytes(n) != (n + 7) / 8)
            check_fail(c, "mask of %zu elements: %zu bytes", n, bitdrop_mask_bytes(n));
    if (bitdrop_mask_bytes(SIZE_MAX) != SIZE_MAX / 8 + 1)
        check_fail(c, "mask of SIZE_MAX elements");
}

void check_statuses(struct check *c)
{
    expect_strings(c);
    for (int flat = 0; flat < 2; flat++) {
        expect_arguments(c, flat);
        expect_order(c, flat);
        expect_empty(c, flat);
    }

    bool flat = true;
    EXPECT(a.call.n = SIZE_MAX, DATA, BITDROP_ERR_RANGE);
    EXPECT(a.call.n = SIZE_MAX / 4, DATA, BITDROP_ERR_RANGE);
    EXPECT((a.call.n = SIZE_MAX / 8 + 2, a.call.dtype = BITDROP_F64), DATA, BITDROP_ERR_RANGE);

    flat = false;
    EXPECT(a.call.shape = NULL, ALL, BITDROP_ERR_NULL);
    EXPECT((a.call.shape = NULL, a.cfg.p = 2), ALL, BITDROP_ERR_NULL);
    EXPECT(a.shape.pitch = N / 4 - 1, ALL, BITDROP_ERR_RANGE);
    EXPECT(a.shape.x_stride = N / 4 - 1, DATA, BITDROP_ERR_RANGE);
    EXPECT(a.shape.y_stride = N / 4 - 1, DATA, BITDROP_ERR_RANGE);
    EXPECT(a.shape.mask_stride = 3, MASKED, BITDROP_ERR_RANGE);
    EXPECT(a.shape.x_stride = SIZE_MAX / 8, DATA, BITDROP_ERR_RANGE);
    EXPECT(a.shape.y_stride = SIZE_MAX, DATA, BITDROP_ERR_RANGE);
    EXPECT(a.shape.mask_stride = SIZE_MAX / 2, MASKED, BITDROP_ERR_RANGE);
    EXPECT(a.shape.pitch = UINT64_MAX / 3, GENERATING, BITDROP_ERR_RANGE);
    EXPECT((a.shape.pitch = UINT64_MAX / 3 - 10, a.cfg.offset = 0), GENERATING, BITDROP_OK);
    EXPECT((a.shape.rows = SIZE_MAX, a.shape.cols = 1), ALL, BITDROP_ERR_RANGE);
    EXPECT((a.shape.rows = SIZE_MAX / 2, a.shape.cols = 16), ALL, BITDROP_ERR_RANGE);
}

void check_overlaps(struct check *c)
{
    bool flat = true;
    EXPECT(a.call.y = x, DATA, BITDROP_OK);
    EXPECT(a.call.y = x + N, DATA, BITDROP_OK);
    EXPECT(a.call.y = x + N - 1, DATA, BITDROP_ERR_OVERLAP);
    EXPECT((a.call.x = x + N, a.call.y = x), DATA, BITDROP_OK);
    EXPECT((a.call.x = x + N - 1, a.call.y = x), DATA, BITDROP_ERR_OVERLAP);
    EXPECT(a.call.y = (float *)(void *)((char *)x + 1), DATA, BITDROP_ERR_OVERLAP);
    EXPECT(a.call.mask = (uint8_t *)x, BOTH, BITDROP_ERR_OVERLAP);
    EXPECT(a.call.mask = (uint8_t *)(x + N) - 1, BOTH, BITDROP_ERR_OVERLAP);
    EXPECT(a.call.mask = (uint8_t *)(x + N), BOTH, BITDROP_OK);
    EXPECT(a.call.mask = (uint8_t *)y, BOTH, BITDROP_ERR_OVERLAP);
    EXPECT((a.call.x = x + 2 * N, a.call.mask = (uint8_t *)(x + 2 * N) - (N + 7) / 8), BOTH,
           BITDROP_OK);
    EXPECT((a.call.x = x + 2 * N, a.call.mask = (uint8_t *)(x + 2 * N) - N / 8), BOTH,
           BITDROP_ERR_OVERLAP);
    EXPECT(a.call.mask = (uint8_t *)x, UNMASKED, BITDROP_OK);

    /* Rows in the gaps of others do not overlap them. */
    flat = false;
    EXPECT(a.call.y = x, DATA, BITDROP_OK);
    EXPECT((a.call.y = x, a.shape.x_stride = 60, a.shape.y_stride = 61), DATA, BITDROP_ERR_OVERLAP);
    EXPECT((a.call.y = x, a.shape.x_stride = a.shape.y_stride = 60), DATA, BITDROP_OK);
    EXPECT((a.call.y = x + N / 4, a.shape.x_stride = a.shape.y_stride = N / 2), DATA, BITDROP_OK);
    EXPECT((a.call.y = x + N / 4 - 1, a.shape.x_stride = a.shape.y_stride = N / 2), DATA,
           BITDROP_ERR_OVERLAP);
    EXPECT((a.call.y = x + N / 4 + 1, a.shape.x_stride = a.shape.y_stride = N / 2), DATA,
           BITDROP_ERR_OVERLAP);
    EXPECT((a.shape.x_stride = 60, a.call.mask = (uint8_t *)(x + 25), a.shape.mask_stride = 240),
           BOTH, BITDROP_OK);
    EXPECT((a.shape.x_stride = 60, a.call.mask = (uint8_t *)(x + 25), a.shape.mask_stride = 241),
           BOTH, BITDROP_OK);
    EXPECT((a.shape.x_stride = 60, a.call.mask = (uint8_t *)(x + 25), a.shape.mask_stride = 239),
           BOTH, BITDROP_ERR_OVERLAP);
    /* One row has no stride. */
    EXPECT((a.call.y = x, a.shape.rows = 1, a.shape.x_stride = 60), DATA, BITDROP_OK);
}
