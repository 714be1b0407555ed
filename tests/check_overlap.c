/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks which overlaps are errors. An output or a written mask must not overlap any other buffer
 * of the call; but the output may be one of certain inputs. Inputs and a mask that is read may
 * overlap one another. A buffer that the call does not use does not count.
 */
#include "good_call.h"

enum { N = ARGUMENTS_N, ROWS = ARGUMENTS_ROWS, COLS = ARGUMENTS_COLS };

/* The bytes of a flat or dense mask. */
static size_t mask_bytes(const struct setting *s)
{
    return s->flat ? (N + 7) / 8 : ROWS * ((COLS + 7) / 8);
}

/* The operations that read in[i] and for which it is of one of `kinds`, a set of bits. */
static operations of_kinds(const struct setting *s, int i, unsigned kinds)
{
    operations set = 0;

    for (int op = 0; op < BITDROP_OPERATION_COUNT; op++)
        if (kinds >> operation_row((enum bitdrop_operation)op)->in[i] & 1)
            set |= that_read(s, i) & 1UL << op;
    return set;
}

/* The operations that read in[i] as a bias of one row; as anything else; and as an input that the
 * output must not be. */
static operations as_bias(const struct setting *s, int i) { return of_kinds(s, i, 1U << IN_BIAS); }

static operations as_matrix(const struct setting *s, int i)
{
    return of_kinds(s, i, ~(1U << IN_BIAS));
}

static operations as_apart(const struct setting *s, int i)
{
    return of_kinds(s, i, 1U << IN_BIAS | 1U << IN_ROW_BIAS | 1U << IN_PROB);
}

/* Overlaps of one input and the output. */
static void expect_input(const struct setting *s, int i)
{
    float *in = buffers.in[i];
    const operations reads = that_read(s, i), matrix = as_matrix(s, i);
    const operations bias = as_bias(s, i);
    const size_t bias_end = s->flat ? N : COLS;

    EXPECT_ONLY(a.call.y = in, as_apart(s, i), BITDROP_ERR_OVERLAP);
    EXPECT(a.call.y = in + N, ALL, BITDROP_OK);
    EXPECT(a.call.in[i] = buffers.y + N, ALL, BITDROP_OK);
    EXPECT_ONLY(a.call.y = in + N - 1, s->flat ? reads : matrix, BITDROP_ERR_OVERLAP);
    EXPECT_ONLY(a.call.y = in + bias_end - 1, reads, BITDROP_ERR_OVERLAP);
    EXPECT(a.call.y = in + bias_end, bias, BITDROP_OK);
    EXPECT_ONLY(a.call.in[i] = buffers.y + N - 1, reads, BITDROP_ERR_OVERLAP);
    EXPECT_ONLY(a.call.y = (float *)(void *)((char *)in + 1), reads, BITDROP_ERR_OVERLAP);
    EXPECT_ONLY(a.call.y = (float *)(void *)((char *)in + 4 * bias_end - 1), reads,
                BITDROP_ERR_OVERLAP);
}

/* Overlaps of one input and a mask. Only a mask that is written must lie apart. */
static void expect_mask(const struct setting *s, int i)
{
    float *in = buffers.in[i];
    const operations writes = that_write_mask(s) & that_read(s, i);
    const size_t bytes = mask_bytes(s), bias_end = s->flat ? N : COLS;

    EXPECT_ONLY(a.call.mask = (uint8_t *)in, writes, BITDROP_ERR_OVERLAP);
    EXPECT_ONLY(a.call.mask = (uint8_t *)(in + bias_end) - 1, writes, BITDROP_ERR_OVERLAP);
    EXPECT(a.call.mask = (uint8_t *)(in + N), ALL, BITDROP_OK);
    EXPECT((a.call.in[i] = in + N, a.call.mask = (uint8_t *)(in + N) - bytes), ALL, BITDROP_OK);
    EXPECT_ONLY((a.call.in[i] = in + N, a.call.mask = (uint8_t *)(in + N) - bytes + 1), writes,
                BITDROP_ERR_OVERLAP);
}

static void expect_output(const struct setting *s)
{
    const operations uses = that_use_mask(s) & with_data();
    const operations inputs = ALL & ~that_read_kind(s, IN_PROB); /* which write no input */
    const size_t bytes = mask_bytes(s);

    EXPECT_ONLY(a.call.mask = (uint8_t *)buffers.y, uses, BITDROP_ERR_OVERLAP);
    EXPECT_ONLY(a.call.mask = (uint8_t *)(buffers.y + N) - 1, uses, BITDROP_ERR_OVERLAP);
    EXPECT(a.call.mask = (uint8_t *)(buffers.y + N), ALL, BITDROP_OK);
    EXPECT_ONLY((a.call.y = buffers.y + N, a.call.mask = (uint8_t *)(buffers.y + N) - bytes + 1),
                uses, BITDROP_ERR_OVERLAP);
    /* All inputs overlap, and a mask that is read overlaps them. */
    EXPECT((a.call.in[1] = a.call.in[0], a.call.in[2] = buffers.in[0] + 1), inputs, BITDROP_OK);
    EXPECT((a.call.in[1] = a.call.in[0], a.call.in[2] = buffers.in[0] + 1,
            a.call.mask = (uint8_t *)buffers.in[0] + 3),
           inputs & ~that_write_mask(s), BITDROP_OK);
}

/* The output is all inputs at once. That is legal if it may be each of them. */
static void expect_both(const struct setting *s)
{
    operations biased = 0;

    for (int i = 0; i < INPUTS; i++)
        biased |= as_apart(s, i);
    EXPECT(a.call.in[0] = a.call.in[1] = a.call.in[2] = buffers.y, ALL & ~biased, BITDROP_OK);
    EXPECT(a.call.in[0] = a.call.in[1] = a.call.in[2] = buffers.y, biased, BITDROP_ERR_OVERLAP);
    for (int i = 0; i < INPUTS; i++)
        EXPECT(
            (a.call.in[0] = a.call.in[1] = a.call.in[2] = buffers.y, a.call.in[i] = buffers.in[i]),
            biased & as_bias(s, i), BITDROP_OK);
}

/* Rows that lie in the gaps of another matrix do not overlap it. */
static void expect_rows_of(const struct setting *s, int i)
{
    float *in = buffers.in[i];
    const operations matrix = as_matrix(s, i), writes = matrix & that_write_mask(s);
    const operations bias = as_bias(s, i), apart = as_apart(s, i);

    /* Sets all input strides: the operation decides which one is in[i]'s. */
#define STRIDES(stride) a.shape.x_stride = a.shape.z_stride = a.soft.bias_stride = (stride)
    EXPECT_ONLY((a.call.y = in, STRIDES(60), a.shape.y_stride = 61), matrix | bias,
                BITDROP_ERR_OVERLAP);
    EXPECT((a.call.y = in, STRIDES(60), a.shape.y_stride = 60), ALL & ~apart, BITDROP_OK);
    EXPECT((a.call.y = in + COLS, STRIDES(2 * COLS), a.shape.y_stride = 2 * COLS), ALL, BITDROP_OK);
    EXPECT_ONLY((a.call.y = in + COLS - 1, STRIDES(2 * COLS), a.shape.y_stride = 2 * COLS),
                matrix | bias, BITDROP_ERR_OVERLAP);
    EXPECT_ONLY((a.call.y = in + COLS + 1, STRIDES(2 * COLS), a.shape.y_stride = 2 * COLS), matrix,
                BITDROP_ERR_OVERLAP);
    EXPECT((STRIDES(60), a.call.mask = (uint8_t *)(in + COLS), a.shape.mask_stride = 240), ALL,
           BITDROP_OK);
    EXPECT((STRIDES(60), a.call.mask = (uint8_t *)(in + COLS), a.shape.mask_stride = 241), ALL,
           BITDROP_OK);
    EXPECT_ONLY((STRIDES(60), a.call.mask = (uint8_t *)(in + COLS), a.shape.mask_stride = 239),
                writes, BITDROP_ERR_OVERLAP);
    /* If there is only one row, strides do not matter. */
    EXPECT((a.call.y = in, a.shape.rows = 1, STRIDES(60)), ALL & ~apart, BITDROP_OK);
#undef STRIDES
}

/* The size of a mask depends on the unit and mask_repeat, unless it stores marks. */
static void expect_mask_sizes(const struct setting *s)
{
    const operations uses = that_use_mask(s) & with_data(), marks = that_mark();
    uint8_t *end = (uint8_t *)(buffers.y + N);
    const size_t row = (COLS + 7) / 8;

    /* The output begins `bytes` bytes after the beginning of the mask. */
#define MASK(bytes) (a.call.y = buffers.y + N, a.call.mask = end - (bytes))
    EXPECT((MASK(2 * row), a.shape.mask_repeat = 2), uses & ~marks, BITDROP_OK);
    EXPECT((MASK(2 * row - 1), a.shape.mask_repeat = 2), uses, BITDROP_ERR_OVERLAP);
    EXPECT((MASK(2 * row), a.shape.mask_repeat = 2), uses & marks, BITDROP_ERR_OVERLAP);
    EXPECT((MASK(ROWS * row), a.shape.mask_repeat = 2), uses, BITDROP_OK);
    EXPECT((MASK(2 * row), a.shape.mask_repeat = 2, a.shape.first_row = 1), uses,
           BITDROP_ERR_OVERLAP);
    EXPECT((MASK(3 * row), a.shape.mask_repeat = 2, a.shape.first_row = 1), uses & ~marks,
           BITDROP_OK);
    EXPECT((MASK(1), a.shape.unit = BITDROP_EACH_ROW), uses & ~marks, BITDROP_OK);
    EXPECT((MASK(0), a.shape.unit = BITDROP_EACH_ROW), uses, BITDROP_ERR_OVERLAP);
    EXPECT((MASK(1), a.shape.unit = BITDROP_EACH_ROW), uses & marks, BITDROP_ERR_OVERLAP);
    EXPECT((MASK(1), a.shape.unit = BITDROP_EACH_ROW, a.shape.rows = 9, a.shape.cols = 11), uses,
           BITDROP_ERR_OVERLAP);
    EXPECT((MASK(1), a.shape.unit = BITDROP_EACH_ROW, a.shape.rows = 9, a.shape.cols = 11,
            a.shape.mask_repeat = 3, a.shape.first_row = 2),
           uses & ~marks, BITDROP_OK);
#undef MASK
}

/* Overlaps of the other buffers of softmax: prob, the log-sum-exps and the rows of the bias. */
static void expect_softmax(const struct setting *s)
{
    const operations soft = that_read_kind(s, IN_PROB), mask = soft & that_write_mask(s);
    float *x = buffers.in[0], *bias = buffers.in[1], *prob = buffers.in[2];
    static float lse[ROWS];

#define LSE(at) a.soft.lse = (at)
    EXPECT(LSE(lse), ALL, BITDROP_OK);
    EXPECT_ONLY(LSE(x), soft, BITDROP_ERR_OVERLAP);
    EXPECT_ONLY(LSE(bias + N - 1), soft, BITDROP_ERR_OVERLAP);
    EXPECT_ONLY(LSE(prob + N - 1), soft, BITDROP_ERR_OVERLAP);
    EXPECT_ONLY(LSE(buffers.y + N - 1), soft, BITDROP_ERR_OVERLAP);
    EXPECT_ONLY(LSE(buffers.mask), mask, BITDROP_ERR_OVERLAP);
    EXPECT(LSE(x + N), ALL, BITDROP_OK);
    EXPECT(LSE(buffers.y + N), ALL, BITDROP_OK);
    EXPECT((LSE(prob), a.call.in[2] = NULL), soft, BITDROP_OK);
    EXPECT((LSE(bias), a.call.in[1] = NULL), soft, BITDROP_OK);
#undef LSE
    /* prob may be x, with the same stride. It must overlap nothing else. */
    EXPECT(a.call.in[2] = x, soft, BITDROP_OK);
    EXPECT((a.call.in[2] = x, a.shape.x_stride = 30), soft, BITDROP_ERR_OVERLAP);
    EXPECT((a.call.in[2] = x, a.shape.x_stride = a.shape.z_stride = 30), soft, BITDROP_OK);
    EXPECT((a.call.in[2] = x, a.call.y = x), soft, BITDROP_ERR_OVERLAP);
    EXPECT(a.call.in[2] = x + 1, soft, BITDROP_ERR_OVERLAP);
    EXPECT(a.call.in[2] = bias, soft, BITDROP_ERR_OVERLAP);
    EXPECT(a.call.mask = (uint8_t *)prob, mask, BITDROP_ERR_OVERLAP);
    /*
     * The call has rows 4 to 7 of the whole. With bias blocks of 3 rows, each repeated twice, they
     * read rows 1, 2, 3, 4 of the bias. With one block of 3 that serves all rows they read rows 1,
     * 2, 0, 1, and with blocks of 6 rows 4, 5, 0, 1.
     */
#define BIAS(block, repeat)                                                                        \
    a.shape.first_row = 4, a.soft.bias_block = (block), a.soft.bias_repeat = (repeat)
    EXPECT((BIAS(3, 2), a.call.y = bias + 5 * COLS), soft, BITDROP_OK);
    EXPECT((BIAS(3, 2), a.call.y = bias + 5 * COLS - 1), soft, BITDROP_ERR_OVERLAP);
    EXPECT((BIAS(3, 2), a.call.y = bias - 3 * COLS + 1), soft, BITDROP_ERR_OVERLAP);
    EXPECT((BIAS(3, 2), a.call.in[1] = buffers.y + 3 * COLS), soft, BITDROP_OK);
    EXPECT((BIAS(3, 2), a.call.in[1] = buffers.y + 3 * COLS - 1), soft, BITDROP_ERR_OVERLAP);
    EXPECT((BIAS(3, 9), a.call.y = bias + 3 * COLS), soft, BITDROP_OK);
    EXPECT((BIAS(3, 9), a.call.y = bias + 3 * COLS - 1), soft, BITDROP_ERR_OVERLAP);
    EXPECT((BIAS(3, 9), a.call.in[1] = buffers.y + 4 * COLS), soft, BITDROP_OK);
    EXPECT((BIAS(3, 9), a.call.in[1] = buffers.y + 4 * COLS - 1), soft, BITDROP_ERR_OVERLAP);
    EXPECT((BIAS(6, 2), a.call.y = bias + 6 * COLS), soft, BITDROP_OK);
    EXPECT((BIAS(6, 2), a.call.y = bias + 6 * COLS - 1), soft, BITDROP_ERR_OVERLAP);
    EXPECT((BIAS(6, 2), a.call.y = bias + 2 * COLS - 1), soft, BITDROP_ERR_OVERLAP);
    EXPECT((BIAS(6, 2), a.shape.y_stride = 8 * COLS, a.call.y = bias + 3 * COLS, a.shape.rows = 3),
           soft, BITDROP_OK);
    EXPECT((BIAS(6, 2), a.call.in[2] = bias + COLS), soft, BITDROP_ERR_OVERLAP);
    EXPECT((BIAS(6, 2), a.call.mask = (uint8_t *)(bias + 6 * COLS) - 1), mask, BITDROP_ERR_OVERLAP);
    EXPECT((BIAS(6, 2), a.soft.lse = bias + 6 * COLS - 1), soft, BITDROP_ERR_OVERLAP);
    EXPECT((BIAS(6, 2), a.soft.lse = bias + 3 * COLS), soft, BITDROP_OK);
#undef BIAS
}

void check_overlaps(struct check *c)
{
    for (int k = 0; k < 4; k++) {
        const struct setting setting = {c, k % 2 == 0, (uint8_t)(k / 2)}, *s = &setting;

        for (int i = 0; i < INPUTS; i++) {
            expect_input(s, i);
            expect_mask(s, i);
            if (!s->flat)
                expect_rows_of(s, i);
        }
        expect_output(s);
        expect_both(s);
        if (!s->flat) {
            expect_mask_sizes(s);
            expect_softmax(s);
        }
    }
}
