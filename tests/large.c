/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: large ISA
 *
 * Calls of more than 2^32 elements against the same elements in small calls, which other tests
 * check. Takes 10 GiB of memory and minutes.
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

/* Late planes count 2^32 words of 32 elements, and early ones 2^32 blocks of 128. */
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

/* Compares mask, and data if values is set, with parts of N elements. */
static bool parts_agree(const char *what, const bitdrop_config *whole, bool values)
{
    static uint16_t x[PART], y[PART];
    static uint8_t bits[PART / 8];

    for (size_t i = 0; i < PART; i++)
        x[i] = one;
    for (size_t at = 0; at < N; at += PART) {
        const size_t n = N - at < PART ? N - at : PART;
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
           parts_agree("mask", &cfg, false);
}

static bool forward_is_right(uint64_t offset)
{
    const bitdrop_config cfg = config(offset);

    fill_data();
    memset(mask, 0x55, bitdrop_mask_bytes(N));
    return (bitdrop_forward(&cfg, BITDROP_BF16, N, data, data, mask) == BITDROP_OK ||
            fail("forward is refused", offset, 0)) &&
           parts_agree("forward", &cfg, true);
}

static void run_backwards(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                          void *argument)
{
    (void)context;
    while (tasks-- > 0)
        task(argument, tasks);
}

/* Rows of one column, each a decision by itself, and tasks that begin anywhere. */
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
    return parts_agree("forward of rows", &cfg, true);
}

/* A matrix whose second row begins past 2^32 elements, in tasks that cut rows. */
static bool matrix_is_right(void)
{
    const bitdrop_parallel parallel = {.run = run_backwards, .tasks = 5};
    const bitdrop_2d shape = {.rows = 3, .cols = N / 3};
    bitdrop_config cfg = config(3);

    if (N % 3 != 0)
        return fail("N is no multiple of 3", 0, 0);
    fill_data();
    cfg.parallel = &parallel;
    cfg.mask_use = BITDROP_MASK_REMADE;
    if (bitdrop_forward_2d(&cfg, BITDROP_BF16, &shape, data, data, NULL) != BITDROP_OK)
        return fail("forward_2d is refused", 3, 0);
    cfg = config(3);
    if (bitdrop_mask(&cfg, N, mask) != BITDROP_OK)
        return fail("mask is refused", 3, 0);
    return parts_agree("forward_2d", &cfg, true);
}

/* A byte for each element, and back. */
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
        return fail("count, or pack is refused", 77, 0);
    return parts_agree("mask, unpacked and packed", &cfg, false);
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
    mask = malloc(bitdrop_mask_bytes(N));
    if (data == NULL || mask == NULL) {
        fputs("large: 10 GiB of memory are not to be had\n", stderr);
        return 77;
    }
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets && right; i++)
        right = masks_are_right(offsets[i]);
    right = right && forward_is_right(offsets[1]) && rows_are_right(offsets[2]) &&
            matrix_is_right() && bytes_are_right();
    printf("%s: %s\n", bitdrop_isa_name(isa),
           right ? "calls of 2^32 + 4,100 elements are right" : "WRONG");
    free(data);
    free(mask);
    return right ? 0 : 1;
}
