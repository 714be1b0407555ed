/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: large ISA
 *
 * Compares calls on more than 2^32 elements with small calls on the same elements, which other
 * tests check. Needs 10 GiB of memory and several minutes.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bitdrop/bitdrop.h"

enum { PART = 1 << 20 };

static const size_t N = ((size_t)1 << 32) + 4100;
static const uint16_t one = 0x3F80; /* bf16 */

/* The lower counter word overflows after 2^32 words of 32 elements in late planes, and after 2^32
 * blocks of 128 elements in early planes. The last two calls go across these indices. */
static const uint64_t offsets[] = {0, (UINT64_C(1) << 37) - (UINT64_C(1) << 31) - 5,
                                   (UINT64_C(1) << 39) - (UINT64_C(1) << 31) - 5};

static bitdrop_isa isa;
static uint16_t *data;
static uint8_t *mask;

static bool fail(const char *what, uint64_t offset, size_t at)
{
    fprintf(stderr, "large: %s, ISA %s, offset %" PRIu64 ": wrong from element %zu on\n", what,
            bitdrop_isa_name(isa), offset, at);
    return false;
}

static bitdrop_config config(uint64_t offset)
{
    return (bitdrop_config){.p = 0.3, .seed = 11, .offset = offset, .isa = (uint8_t)isa};
}

/* Compares `count` elements of mask, and if `values` of data, with calls on PART elements each. */
static bool parts_agree(const char *what, const bitdrop_config *whole, size_t count, bool values)
{
    static uint16_t x[PART], y[PART];
    static uint8_t bits[PART / 8];

    for (size_t i = 0; i < PART; i++)
        x[i] = one;
    for (size_t at = 0; at < count; at += PART) {
        const size_t n = count - at < PART ? count - at : PART;
        bitdrop_config cfg = *whole;

        cfg.offset += at;
        if (bitdrop_forward(&cfg, BITDROP_BF16, n, x, y, bits) != BITDROP_OK ||
            memcmp(bits, mask + at / 8, bitdrop_mask_bytes(n)) != 0 ||
            (values && memcmp(y, data + at, n * sizeof *y) != 0))
            return fail(what, whole->offset, at);
    }
    return true;
}

static void fill_data(void)
{
    for (size_t i = 0; i < N; i++)
        data[i] = one;
}

static bool masks_are_right(uint64_t offset)
{
    const bitdrop_config cfg = config(offset);

    memset(mask, 0x55, bitdrop_mask_bytes(N));
    return (bitdrop_mask(&cfg, N, mask) == BITDROP_OK || fail("mask is refused", offset, 0)) &&
           parts_agree("mask", &cfg, N, false);
}

static bool forward_is_right(uint64_t offset)
{
    const bitdrop_config cfg = config(offset);

    fill_data();
    memset(mask, 0x55, bitdrop_mask_bytes(N));
    return (bitdrop_forward(&cfg, BITDROP_BF16, N, data, data, mask) == BITDROP_OK ||
            fail("forward is refused", offset, 0)) &&
           parts_agree("forward", &cfg, N, true);
}

static void run_backwards(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                          void *argument)
{
    (void)context;
    while (tasks-- > 0)
        task(argument, tasks);
}

/* Rows of one column with one decision each, in tasks, which may begin anywhere. */
static bool rows_are_right(uint64_t offset)
{
    const bitdrop_parallel parallel = {.run = run_backwards, .tasks = 3};
    const bitdrop_2d shape = {.rows = N, .cols = 1, .unit = BITDROP_EACH_ROW};
    bitdrop_config cfg = config(offset);

    fill_data();
    memset(mask, 0x55, bitdrop_mask_bytes(N));
    cfg.parallel = &parallel;
    if (bitdrop_forward_2d(&cfg, BITDROP_BF16, &shape, data, data, mask) != BITDROP_OK)
        return fail("forward of rows is refused", offset, 0);
    cfg.parallel = NULL;
    return parts_agree("forward of rows", &cfg, N, true);
}

/* A matrix of three long rows, in tasks that cut the rows. */
static bool matrix_is_right(void)
{
    const bitdrop_parallel parallel = {.run = run_backwards, .tasks = 5};
    const bitdrop_2d shape = {.rows = 3, .cols = N / 3};
    bitdrop_config cfg = config(3);

    if (N % 3 != 0)
        return fail("N is not a multiple of 3", 0, 0);
    fill_data();
    cfg.parallel = &parallel;
    cfg.mask_use = BITDROP_MASK_REMADE;
    if (bitdrop_forward_2d(&cfg, BITDROP_BF16, &shape, data, data, NULL) != BITDROP_OK)
        return fail("forward_2d is refused", 3, 0);
    cfg = config(3);
    if (bitdrop_mask(&cfg, N, mask) != BITDROP_OK)
        return fail("mask is refused", 3, 0);
    return parts_agree("forward_2d", &cfg, N, true);
}

/* A bf16 number in [1, 2), by a hash of i, so that rows differ. */
static uint16_t varied(size_t i) { return (uint16_t)(0x3F80 | (i * 2654435761u >> 8 & 0x7F)); }

/* Compares both passes of softmax, in place, with calls of one row each. */
static bool softmax_is_right(void)
{
    enum { ROWS = 1332, MOST_COLS = 1 << 22 };
    static uint16_t x[MOST_COLS];
    static uint8_t bits[MOST_COLS / 8];
    const bitdrop_softmax soft = {.scale = 3};
    bitdrop_2d shape = {.rows = ROWS, .cols = N / ROWS};
    bitdrop_config cfg = config(5);

    if (N % ROWS != 0 || shape.cols > MOST_COLS)
        return fail("N is not a multiple of ROWS", 5, 0);
    for (size_t i = 0; i < N; i++)
        data[i] = varied(i);
    if (bitdrop_forward_softmax(&cfg, BITDROP_BF16, &shape, &soft, data, NULL, data, mask) ||
        bitdrop_backward_softmax(&cfg, BITDROP_BF16, &shape, &soft, data, data, data, mask))
        return fail("softmax is refused", 5, 0);
    shape.rows = 1;
    for (size_t row = 0; row < ROWS; row++) {
        const size_t at = row * shape.cols, bytes = bitdrop_mask_bytes(shape.cols);

        cfg.offset = 5 + at;
        for (size_t i = 0; i < shape.cols; i++)
            x[i] = varied(at + i);
        if (bitdrop_forward_softmax(&cfg, BITDROP_BF16, &shape, &soft, x, NULL, x, bits) ||
            bitdrop_backward_softmax(&cfg, BITDROP_BF16, &shape, &soft, x, x, x, bits) ||
            memcmp(x, data + at, shape.cols * sizeof *x) != 0 ||
            memcmp(bits, mask + row * bytes, bytes) != 0)
            return fail("softmax", 5, at);
    }
    return true;
}

enum { HEADS = 2, QUERIES = 46341, KEYS = 46344 };
struct head {
    float q[QUERIES], k[KEYS], v[KEYS], dout[QUERIES], out[QUERIES], dq[QUERIES], dk[KEYS],
        dv[KEYS];
};

/* Runs both passes on `heads` heads from h on. h has number `first` among all heads. */
static bool attention_runs(struct head *h, size_t heads, size_t first, float *lse, uint8_t *bits)
{
#define STRIDES                                                                                    \
    {                                                                                              \
        HEADS * sizeof *h / sizeof(float), sizeof *h / sizeof(float), 1                            \
    }
    const bitdrop_attention a = {.batch = 1,
                                 .heads = heads,
                                 .queries = QUERIES,
                                 .keys = KEYS,
                                 .dim = 1,
                                 .q_strides = STRIDES,
                                 .k_strides = STRIDES,
                                 .v_strides = STRIDES,
                                 .out_strides = STRIDES};
    const bitdrop_config cfg = config(9 + (uint64_t)first * QUERIES * KEYS);
    const size_t bytes = bitdrop_attention_scratch_bytes(&cfg, BITDROP_F32, &a);
    void *scratch = aligned_alloc(64, (bytes + 63) / 64 * 64);
    const bool right =
        scratch != NULL &&
        bitdrop_attention_forward(&cfg, BITDROP_F32, &a, h->q, h->k, h->v, h->out, lse, bits,
                                  scratch) == BITDROP_OK &&
        bitdrop_attention_backward(&cfg, BITDROP_F32, &a, h->dout, h->q, h->k, h->v, h->out, lse,
                                   h->dq, h->dk, h->dv, bits, scratch) == BITDROP_OK;

    free(scratch);
    return right;
}

/*
 * Attention with more than 2^32 probabilities. Compares the mask with flat calls, and the results
 * of the last head with a call of this head alone.
 */
static bool attention_is_right(void)
{
    static struct head heads[HEADS], alone;
    static float lse[HEADS][QUERIES], lse_alone[QUERIES];
    const bitdrop_config cfg = config(9);
    const size_t last = HEADS - 1;

    for (size_t i = 0; i < HEADS * (sizeof *heads / sizeof(float)); i++)
        ((float *)heads)[i] = (float)(varied(i) - 0x3FC0) / 64;
    alone = heads[last];
    if (!attention_runs(heads, HEADS, 0, lse[0], mask))
        return fail("attention is refused", 9, 0);
    if (!parts_agree("attention", &cfg, (size_t)HEADS * QUERIES * KEYS, false))
        return false;
    if (!attention_runs(&alone, 1, last, lse_alone, (uint8_t *)data))
        return fail("attention of a head is refused", 9, 0);
    return (memcmp(&alone, &heads[last], sizeof alone) == 0 &&
            memcmp(lse_alone, lse[last], sizeof lse_alone) == 0) ||
           fail("attention, its values", 9, 0);
}

/* Unpacks the mask to a byte for each element, and packs it again. */
static bool bytes_are_right(void)
{
    uint8_t *const bytes = (uint8_t *)data;
    const bitdrop_config cfg = config(77);
    size_t kept = 0, ones = 0;

    if (bitdrop_mask(&cfg, N, mask) != BITDROP_OK || bitdrop_mask_count(N, mask, &kept) != 0 ||
        bitdrop_mask_unpack(N, mask, bytes) != BITDROP_OK)
        return fail("mask, count or unpack is refused", 77, 0);
    for (size_t i = 0; i < N; i++)
        ones += bytes[i];
    memset(mask, 0x55, bitdrop_mask_bytes(N));
    if (ones != kept || bitdrop_mask_pack(N, bytes, mask) != BITDROP_OK)
        return fail("count is wrong, or pack is refused", 77, 0);
    return parts_agree("mask, unpacked and packed", &cfg, N, false);
}

int main(int argc, char **argv)
{
    bool right = true;

    for (int i = BITDROP_ISA_SCALAR; i <= BITDROP_ISA_NEON && argc == 2; i++)
        if (strcmp(argv[1], bitdrop_isa_name((bitdrop_isa)i)) == 0)
            isa = (bitdrop_isa)i;
    if (isa == BITDROP_ISA_AUTO || !bitdrop_isa_supported(isa)) {
        fputs("usage: large ISA, one that this machine runs\n", stderr);
        return 77;
    }
    data = malloc(N * sizeof *data);
    mask = malloc(bitdrop_mask_bytes(N) + (1 << 20)); /* attention has more than N probabilities */
    if (data == NULL || mask == NULL) {
        fputs("large: cannot allocate 10 GiB of memory\n", stderr);
        return 77;
    }
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets && right; i++)
        right = masks_are_right(offsets[i]);
    right = right && forward_is_right(offsets[1]) && rows_are_right(offsets[2]) &&
            matrix_is_right() && bytes_are_right() && softmax_is_right() && attention_is_right();
    printf("%s: %s\n", bitdrop_isa_name(isa),
           right ? "calls of 2^32 + 4,100 elements are right" : "WRONG");
    free(data);
    free(mask);
    return right ? 0 : 1;
}
