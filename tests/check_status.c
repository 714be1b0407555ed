/* SPDX-License-Identifier: Apache-2.0 */
/* Checks each row of the status table, in order, and that a call which fails writes nothing. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "good_call.h"

enum { N = ARGUMENTS_N, ROWS = ARGUMENTS_ROWS, COLS = ARGUMENTS_COLS };

static void run_nothing(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                        void *argument)
{
    (void)context;
    (void)tasks;
    (void)task;
    (void)argument;
}

static const bitdrop_parallel no_run = {NULL, NULL, 2, {0}}, no_tasks = {run_nothing, NULL, 0, {0}},
                              reserved_0 = {run_nothing, NULL, 2, {1, 0}},
                              reserved_1 = {run_nothing, NULL, 2, {0, UINT64_C(1) << 63}};

static void expect_pointers(const struct setting *s)
{
    const operations data_and_mask = with_data() & with_mask();

    EXPECT((void)0, ALL, BITDROP_OK);
    EXPECT(a.call.cfg = NULL, ALL, BITDROP_ERR_NULL);
    for (int i = 0; i < INPUTS; i++)
        EXPECT_ONLY(a.call.in[i] = NULL, that_need(s, i), BITDROP_ERR_NULL);
    EXPECT_ONLY(a.call.y = NULL, with_data(), BITDROP_ERR_NULL);
    EXPECT_ONLY(a.call.mask = NULL, that_use_mask(s), BITDROP_ERR_NULL);
    if (s->mask_use == BITDROP_MASK_REMADE)
        EXPECT_ONLY(a.mask_as_given = true, data_and_mask, BITDROP_ERR_NULL);
}

/* mask_use is checked with the config. Until then an unknown value counts as MASK_STORED. */
static void expect_unknown_mask_use(const struct setting *s)
{
    if (s->mask_use != BITDROP_MASK_STORED)
        return;
    for (int use = 2; use < 256; use++) {
        EXPECT(a.cfg.mask_use = (uint8_t)use, ALL, BITDROP_ERR_CONFIG);
        EXPECT((a.cfg.mask_use = (uint8_t)use, a.call.mask = NULL), with_mask(), BITDROP_ERR_NULL);
        EXPECT((a.cfg.mask_use = (uint8_t)use, a.call.mask = NULL), ALL & ~with_mask(),
               BITDROP_ERR_CONFIG);
        EXPECT((a.cfg.mask_use = (uint8_t)use, a.cfg.p = 2), ALL, BITDROP_ERR_PROBABILITY);
    }
    for (int i = 0; i < INPUTS; i++) {
        EXPECT((a.cfg.mask_use = 2, a.call.in[i] = NULL), that_need(s, i), BITDROP_ERR_NULL);
        EXPECT((a.cfg.mask_use = 2, a.call.in[i] = NULL), ALL & ~that_need(s, i),
               BITDROP_ERR_CONFIG);
    }
}

static void expect_config(const struct setting *s)
{
    EXPECT(a.cfg.p = -0x1p-1074, ALL, BITDROP_ERR_PROBABILITY);
    EXPECT(a.cfg.p = 1 + 0x1p-52, ALL, BITDROP_ERR_PROBABILITY);
    EXPECT(a.cfg.p = NAN, ALL, BITDROP_ERR_PROBABILITY);
    EXPECT(a.cfg.p = INFINITY, ALL, BITDROP_ERR_PROBABILITY);
    EXPECT(a.cfg.p = -0.0, ALL, BITDROP_OK);
    EXPECT(a.cfg.p = 1 - 0x1p-53, ALL, BITDROP_OK);
    EXPECT_ONLY(a.cfg.p = 1, that_make_noise(), BITDROP_ERR_PROBABILITY);

    for (int rounds = 0; rounds < 256; rounds++)
        EXPECT(a.cfg.rounds = (uint8_t)rounds, ALL,
               rounds == 0 || rounds == 7 || rounds == 10 ? BITDROP_OK : BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.scaling = 2, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.scaling = 255, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.stores = 3, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.stores = 255, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.parallel = &no_run, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.parallel = &no_tasks, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.parallel = &reserved_0, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.parallel = &reserved_1, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.reserved32 = 1, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.reserved32 = UINT32_C(1) << 31, ALL, BITDROP_ERR_CONFIG);
    for (int i = 0; i < 3; i++)
        EXPECT(a.cfg.reserved8[i] = 128, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.reserved[0] = 1, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.cfg.reserved[1] = UINT64_C(1) << 63, ALL, BITDROP_ERR_CONFIG);

    EXPECT_ONLY(a.call.dtype = (bitdrop_dtype)4, with_data(), BITDROP_ERR_DTYPE);
    EXPECT_ONLY(a.call.dtype = (bitdrop_dtype)-1, with_data(), BITDROP_ERR_DTYPE);

    for (int isa = 0; isa < 256; isa++)
        EXPECT(a.cfg.isa = (uint8_t)isa, ALL,
               bitdrop_isa_supported((bitdrop_isa)isa) ? BITDROP_OK : BITDROP_ERR_ISA);

    EXPECT(a.cfg.offset = -(uint64_t)N, ALL, BITDROP_OK);
    EXPECT_ONLY(a.cfg.offset = -(uint64_t)N + 1, that_make_bits(s), BITDROP_ERR_RANGE);
    EXPECT_ONLY(a.cfg.offset = UINT64_MAX, that_make_bits(s), BITDROP_ERR_RANGE);
}

/* If two arguments are wrong, the status is the one that is higher in the table. */
static void expect_order(const struct setting *s)
{
    float *within = buffers.in[0] + 1;

    EXPECT((a.call.in[0] = NULL, a.cfg.p = 2), with_data(), BITDROP_ERR_NULL);
    EXPECT((a.call.mask = NULL, a.cfg.p = 2), that_use_mask(s), BITDROP_ERR_NULL);
    EXPECT((a.cfg.p = 2, a.cfg.rounds = 1), ALL, BITDROP_ERR_PROBABILITY);
    EXPECT((a.cfg.p = 1, a.cfg.rounds = 1), that_make_noise(), BITDROP_ERR_PROBABILITY);
    EXPECT((a.cfg.p = 1, a.call.y = NULL), that_make_noise(), BITDROP_ERR_NULL);
    EXPECT((a.cfg.rounds = 1, a.call.dtype = (bitdrop_dtype)9), ALL, BITDROP_ERR_CONFIG);
    EXPECT((a.cfg.isa = 99, a.call.dtype = (bitdrop_dtype)9), with_data(), BITDROP_ERR_DTYPE);
    EXPECT((a.cfg.isa = 99, a.cfg.offset = UINT64_MAX), ALL, BITDROP_ERR_ISA);
    EXPECT((a.cfg.offset = UINT64_MAX, a.call.y = within), that_make_bits(s), BITDROP_ERR_RANGE);
    EXPECT(a.call.y = within, with_data(), BITDROP_ERR_OVERLAP);
    if (s->flat)
        return;
    EXPECT((a.shape.unit = 2, a.cfg.p = 2), ALL, BITDROP_ERR_PROBABILITY);
    EXPECT((a.shape.unit = 2, a.call.dtype = (bitdrop_dtype)9), ALL, BITDROP_ERR_CONFIG);
    EXPECT((a.shape.unit = 2, a.call.y = NULL), with_data(), BITDROP_ERR_NULL);
    EXPECT((a.shape.flags = 1, a.cfg.isa = 99), ALL, BITDROP_ERR_CONFIG);
    EXPECT((a.shape.pitch = 1, a.cfg.isa = 99), ALL, BITDROP_ERR_ISA);
    EXPECT((a.shape.pitch = 1, a.call.y = within), ALL, BITDROP_ERR_RANGE);
}

/* A call without elements needs no buffer, but its other arguments are still checked. */
static void expect_empty(const struct setting *s)
{
#define EMPTY                                                                                      \
    (a.call.n = 0, a.shape.rows = 0, a.call.in[0] = a.call.in[1] = a.call.in[2] = NULL,            \
     a.call.y = NULL, a.call.mask = NULL)
    EXPECT(EMPTY, ALL, BITDROP_OK);
    EXPECT((EMPTY, a.shape.rows = 5, a.shape.cols = 0), ALL, BITDROP_OK);
    EXPECT((EMPTY, a.call.cfg = NULL), ALL, BITDROP_ERR_NULL);
    EXPECT((EMPTY, a.cfg.p = 2), ALL, BITDROP_ERR_PROBABILITY);
    EXPECT_ONLY((EMPTY, a.cfg.p = 1), that_make_noise(), BITDROP_ERR_PROBABILITY);
    EXPECT((EMPTY, a.cfg.rounds = 1), ALL, BITDROP_ERR_CONFIG);
    EXPECT((EMPTY, a.cfg.mask_use = 2), ALL, BITDROP_ERR_CONFIG);
    EXPECT_ONLY((EMPTY, a.call.dtype = (bitdrop_dtype)4), with_data(), BITDROP_ERR_DTYPE);
    EXPECT((EMPTY, a.cfg.isa = 99), ALL, BITDROP_ERR_ISA);
    EXPECT((EMPTY, a.cfg.offset = UINT64_MAX), ALL, BITDROP_OK);
    EXPECT((EMPTY, a.call.mask = buffers.mask), ALL, BITDROP_OK);
    if (s->mask_use == BITDROP_MASK_REMADE)
        EXPECT_ONLY((EMPTY, a.call.mask = buffers.mask, a.mask_as_given = true),
                    with_data() & with_mask(), BITDROP_ERR_NULL);
    if (s->flat)
        return;
    EXPECT((EMPTY, a.call.shape = NULL), ALL, BITDROP_ERR_NULL);
    EXPECT((EMPTY, a.shape.unit = 2), ALL, BITDROP_ERR_CONFIG);
    EXPECT((EMPTY, a.shape.reserved[1] = 1), ALL, BITDROP_ERR_CONFIG);
    EXPECT((EMPTY, a.shape.pitch = COLS - 1), ALL, BITDROP_ERR_RANGE);
    EXPECT((EMPTY, a.shape.x_stride = COLS - 1), ALL, BITDROP_ERR_RANGE);
    EXPECT((EMPTY, a.shape.unit = BITDROP_EACH_ROW, a.shape.pitch = COLS), ALL, BITDROP_ERR_RANGE);
    EXPECT((EMPTY, a.shape.first_row = UINT64_MAX), ALL, BITDROP_OK);
    EXPECT((EMPTY, a.shape.rows = 5, a.shape.cols = 0, a.shape.first_row = -(uint64_t)5), ALL,
           BITDROP_OK);
    EXPECT((EMPTY, a.shape.rows = 5, a.shape.cols = 0, a.shape.first_row = -(uint64_t)4), ALL,
           BITDROP_ERR_RANGE);
#undef EMPTY
}

static void expect_strides(const struct setting *s)
{
    const operations third = that_read_kind(s, IN_THIRD) | that_read_kind(s, IN_THIRD_OR_NULL) |
                             that_read_kind(s, IN_PROB);

    /* A stride less than a row is an error, even if the call does not use it. */
    EXPECT(a.shape.pitch = COLS - 1, ALL, BITDROP_ERR_RANGE);
    EXPECT(a.shape.x_stride = COLS - 1, ALL, BITDROP_ERR_RANGE);
    EXPECT(a.shape.y_stride = COLS - 1, ALL, BITDROP_ERR_RANGE);
    EXPECT(a.shape.z_stride = COLS - 1, ALL, BITDROP_ERR_RANGE);
    EXPECT(a.shape.mask_stride = (COLS + 7) / 8 - 1, ALL, BITDROP_ERR_RANGE);
    /* A buffer must not reach beyond the address space. */
    EXPECT_ONLY(a.shape.x_stride = SIZE_MAX / 8, with_data(), BITDROP_ERR_RANGE);
    EXPECT_ONLY(a.shape.y_stride = SIZE_MAX, with_data(), BITDROP_ERR_RANGE);
    EXPECT_ONLY(a.shape.z_stride = SIZE_MAX / 4, third, BITDROP_ERR_RANGE);
    EXPECT_ONLY((a.shape.z_stride = SIZE_MAX, a.call.in[2] = NULL), that_read_kind(s, IN_THIRD),
                BITDROP_ERR_RANGE);
    EXPECT_ONLY(a.shape.mask_stride = SIZE_MAX / 2, that_use_mask(s), BITDROP_ERR_RANGE);
    EXPECT((a.shape.rows = SIZE_MAX, a.shape.cols = 1), ALL, BITDROP_ERR_RANGE);
    EXPECT((a.shape.rows = SIZE_MAX / 2, a.shape.cols = 16), ALL, BITDROP_ERR_RANGE);
}

/* The last legal index is 2^64 - 1, and so is the last legal row. */
static void expect_indices(const struct setting *s)
{
    const operations makes = that_make_bits(s);

    EXPECT_ONLY(a.shape.pitch = UINT64_MAX / 3, makes, BITDROP_ERR_RANGE);
    EXPECT(a.shape.pitch = UINT64_MAX / 3 - 8, ALL, BITDROP_OK); /* 3 * 8 + 1 = COLS */
    EXPECT_ONLY((a.shape.pitch = UINT64_MAX / 3 - 8, a.cfg.offset = 1), makes, BITDROP_ERR_RANGE);
    EXPECT((a.shape.mask_repeat = 2, a.cfg.offset = -(uint64_t)(2 * COLS)), ALL, BITDROP_OK);
    EXPECT_ONLY((a.shape.mask_repeat = 2, a.cfg.offset = -(uint64_t)(2 * COLS) + 1), makes,
                BITDROP_ERR_RANGE);
    /* Rows 3 to 6 belong to groups 1 to 3. */
    EXPECT((a.shape.first_row = 3, a.shape.mask_repeat = 2, a.cfg.offset = -(uint64_t)(4 * COLS)),
           ALL, BITDROP_OK);
    EXPECT_ONLY(
        (a.shape.first_row = 3, a.shape.mask_repeat = 2, a.cfg.offset = -(uint64_t)(4 * COLS) + 1),
        makes, BITDROP_ERR_RANGE);
    EXPECT_ONLY(a.shape.first_row = UINT64_MAX / 5, makes, BITDROP_ERR_RANGE);
    EXPECT_ONLY(a.shape.first_row = -(uint64_t)ROWS, makes, BITDROP_ERR_RANGE);
    EXPECT((a.shape.first_row = -(uint64_t)ROWS, a.shape.mask_repeat = SIZE_MAX), ALL, BITDROP_OK);
    EXPECT((a.shape.first_row = -(uint64_t)ROWS + 1, a.shape.mask_repeat = SIZE_MAX), ALL,
           BITDROP_ERR_RANGE);
    EXPECT(a.shape.first_row = UINT64_MAX, ALL, BITDROP_ERR_RANGE);
}

static void expect_rows(const struct setting *s)
{
    const operations makes = that_make_bits(s), marks = that_mark();

#define EACH_ROW a.shape.unit = BITDROP_EACH_ROW
    EXPECT(EACH_ROW, ALL, BITDROP_OK);
    EXPECT((EACH_ROW, a.shape.pitch = COLS), ALL, BITDROP_ERR_RANGE);
    EXPECT((EACH_ROW, a.shape.pitch = 1), ALL, BITDROP_ERR_RANGE);
    EXPECT((EACH_ROW, a.shape.mask_stride = (COLS + 7) / 8), ALL & ~marks, BITDROP_ERR_RANGE);
    EXPECT((EACH_ROW, a.shape.mask_stride = (COLS + 7) / 8), marks, BITDROP_OK);
    EXPECT((EACH_ROW, a.shape.mask_stride = (COLS + 7) / 8 - 1), ALL, BITDROP_ERR_RANGE);
    EXPECT((EACH_ROW, a.cfg.offset = -(uint64_t)ROWS), ALL, BITDROP_OK);
    EXPECT_ONLY((EACH_ROW, a.cfg.offset = -(uint64_t)ROWS + 1), makes, BITDROP_ERR_RANGE);
    EXPECT((EACH_ROW, a.shape.mask_repeat = 3, a.cfg.offset = -(uint64_t)2), ALL, BITDROP_OK);
    EXPECT_ONLY((EACH_ROW, a.shape.mask_repeat = 3, a.cfg.offset = -(uint64_t)1), makes,
                BITDROP_ERR_RANGE);
    EXPECT((EACH_ROW, a.shape.first_row = -(uint64_t)ROWS), ALL, BITDROP_OK);
    EXPECT_ONLY((EACH_ROW, a.shape.first_row = -(uint64_t)ROWS, a.cfg.offset = 1), makes,
                BITDROP_ERR_RANGE);
    EXPECT((EACH_ROW, a.shape.first_row = -(uint64_t)ROWS + 1), ALL, BITDROP_ERR_RANGE);
#undef EACH_ROW
}

static void expect_softmax(const struct setting *s)
{
    const operations soft = of_rows(), bias = that_read_kind(s, IN_ROW_BIAS);
    static float lse[ROWS];

    EXPECT_ONLY(a.call.no_soft = true, soft, BITDROP_ERR_NULL);
    EXPECT((a.call.no_soft = true, a.shape.rows = 0), soft, BITDROP_ERR_NULL);
    EXPECT((a.call.no_soft = true, a.cfg.p = 2), soft, BITDROP_ERR_NULL);
    EXPECT_ONLY(a.soft.scale = NAN, soft, BITDROP_ERR_CONFIG);
    EXPECT_ONLY(a.soft.scale = INFINITY, soft, BITDROP_ERR_CONFIG);
    EXPECT_ONLY(a.soft.scale = -INFINITY, soft, BITDROP_ERR_CONFIG);
    EXPECT((a.soft.scale = NAN, a.cfg.p = 2), soft, BITDROP_ERR_PROBABILITY);
    EXPECT((a.soft.scale = NAN, a.call.dtype = (bitdrop_dtype)9), soft, BITDROP_ERR_CONFIG);
    EXPECT((a.soft.scale = NAN, a.shape.cols = 0), soft, BITDROP_ERR_CONFIG);
    EXPECT(a.soft.scale = -1e300, ALL, BITDROP_OK);
    EXPECT_ONLY(a.soft.causal_first = 1, soft, BITDROP_ERR_CONFIG);
    EXPECT_ONLY(a.soft.causal_first = INT64_MIN, soft, BITDROP_ERR_CONFIG);
    EXPECT((a.soft.causal_first = INT64_MIN, a.soft.causal_rows = 1), ALL, BITDROP_OK);
    EXPECT((a.soft.causal_first = INT64_MAX, a.soft.causal_rows = UINT64_MAX), ALL, BITDROP_OK);
    EXPECT((a.soft.causal_first = COLS + 5, a.soft.causal_rows = 3), ALL, BITDROP_OK);
    for (int i = 0; i < 2; i++)
        EXPECT_ONLY(a.soft.reserved[i] = UINT64_C(1) << (63 * i), soft, BITDROP_ERR_CONFIG);
    EXPECT_ONLY(a.soft.bias_stride = COLS - 1, soft, BITDROP_ERR_RANGE);
    EXPECT_ONLY((a.soft.bias_stride = COLS - 1, a.call.in[1] = buffers.in[1]), soft,
                BITDROP_ERR_RANGE);
    EXPECT((a.soft.bias_stride = COLS - 1, a.shape.rows = 0), soft, BITDROP_ERR_RANGE);
    EXPECT(a.soft.bias_stride = COLS, ALL, BITDROP_OK);
    EXPECT_ONLY(a.soft.bias_stride = SIZE_MAX / 4, bias, BITDROP_ERR_RANGE);
    EXPECT_ONLY((a.soft.bias_block = SIZE_MAX / 2 + 1, a.soft.bias_repeat = 2), soft,
                BITDROP_ERR_RANGE);
    EXPECT((a.soft.bias_block = SIZE_MAX / 2 + 1, a.soft.bias_repeat = 2, a.cfg.isa = 99), soft,
           BITDROP_ERR_ISA);
    EXPECT((a.soft.bias_block = 2, a.soft.bias_repeat = SIZE_MAX / 2), ALL, BITDROP_OK);
    /* The row of the bias that is read lies beyond the address space. */
    EXPECT_ONLY(
        (a.soft.bias_block = 1, a.shape.first_row = SIZE_MAX / 64, a.shape.mask_repeat = SIZE_MAX),
        bias, BITDROP_ERR_RANGE);
    EXPECT(a.soft.lse = lse, ALL, BITDROP_OK);
    EXPECT_ONLY(a.soft.lse = (void *)(UINTPTR_MAX - 1), (operations)1 << OP_forward_softmax,
                BITDROP_ERR_RANGE);
    EXPECT((a.soft.lse = lse, a.call.in[1] = NULL, a.call.in[2] = NULL), bias, BITDROP_OK);
}

static void expect_shapes(const struct setting *s)
{
    EXPECT(a.call.shape = NULL, ALL, BITDROP_ERR_NULL);
    EXPECT((a.call.shape = NULL, a.cfg.p = 2), ALL, BITDROP_ERR_NULL);
    EXPECT(a.shape.unit = 2, ALL, BITDROP_ERR_CONFIG);
    EXPECT(a.shape.unit = 1 + (UINT32_C(1) << 31), ALL, BITDROP_ERR_CONFIG);
    for (int i = 0; i < 32; i++)
        EXPECT(a.shape.flags = UINT32_C(1) << i, ALL, BITDROP_ERR_CONFIG);
    for (int i = 0; i < 3; i++)
        EXPECT(a.shape.reserved[i] = UINT64_C(1) << (31 * i), ALL, BITDROP_ERR_CONFIG);
    expect_strides(s);
    expect_indices(s);
    expect_rows(s);
    expect_softmax(s);
}

/* Flat tensors that do not fit in the address space. */
static void expect_length(const struct setting *s)
{
    EXPECT(a.call.n = SIZE_MAX, with_data(), BITDROP_ERR_RANGE);
    EXPECT(a.call.n = SIZE_MAX / 4, with_data(), BITDROP_ERR_RANGE);
    EXPECT((a.call.n = SIZE_MAX / 8 + 2, a.call.dtype = BITDROP_F64), with_data(),
           BITDROP_ERR_RANGE);
}

void check_statuses(struct check *c)
{
    for (int i = 0; i < 4; i++) {
        const struct setting setting = {c, i % 2 == 0, (uint8_t)(i / 2)}, *s = &setting;

        expect_pointers(s);
        expect_unknown_mask_use(s);
        expect_config(s);
        expect_order(s);
        expect_empty(s);
        if (s->flat)
            expect_length(s);
        else
            expect_shapes(s);
    }
}
