/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel and dtype against the oracle, one axis in full at a time and the others sampled. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "case.h"

void check_every_length(struct check *c)
{
    static const size_t larger[] = {6143, 6145, 8191, 12289, 16385, 32767, 65537, 100003};

    for (size_t n = 0; n <= 4200; n += 1 + check_below(c, 2 * c->thin - 1)) {
        const struct test_case t = case_random(c, n);

        case_run(c, &t);
    }
    for (size_t i = 0; i < sizeof larger / sizeof *larger; i += c->thin) {
        const struct test_case t = case_random(c, larger[i]);

        case_run(c, &t);
    }
}

void check_every_offset(struct check *c)
{
    static const uint64_t edges[] = {
        8, 32, 128, 2048, 8192, 16384, UINT64_C(1) << 32, UINT64_C(1) << 37, UINT64_C(1) << 39,
        0 /* = 2^64 */};

    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        for (int delta = -140; delta <= 140; delta += (int)c->thin) {
            struct test_case t = case_random(c, check_below(c, 700));

            t.cfg.offset = edges[i] + (uint64_t)(int64_t)delta;
            if (t.cfg.offset > UINT64_MAX - t.shape.cols) /* end at 2^64, the last legal end */
                t.cfg.offset = -(uint64_t)t.shape.cols;
            case_run(c, &t);
        }
    }
    for (uint64_t offset = 0; offset < 2100; offset += c->thin) {
        struct test_case t = case_random(c, 1 + check_below(c, 300));

        t.cfg.offset = offset;
        case_run(c, &t);
    }
}

void check_every_probability(struct check *c)
{
    static const uint8_t rounds[] = {0, 7, 10};

    for (size_t i = 0; i < check_probability_count; i++) {
        for (size_t j = 0; j < 3 * 2 * 3; j++) {
            struct test_case t = case_random(c, check_below(c, 3000 / c->thin));

            t.cfg.p = check_probabilities[i];
            t.cfg.rounds = rounds[j % 3];
            t.cfg.scaling = j / 3 % 2;
            t.cfg.stores = (uint8_t)(j / 6);
            case_run(c, &t);
        }
    }
    /* Each number of planes, early and late. */
    for (int planes = 1; planes <= 64; planes++) {
        struct test_case t = case_random(c, 2500 / c->thin);
        const int width = planes < 53 ? planes : 53; /* bits of a double */
        const uint64_t digits = (check_random(c) >> (64 - width)) | 1;

        t.cfg.p = ldexp((double)digits, -planes);
        case_run(c, &t);
    }
}

void check_every_alignment(struct check *c)
{
    for (size_t gap = 0; gap < 64; gap++) {
        for (int which = 0; which < 8; which += 1 + (int)check_below(c, c->thin)) {
            struct test_case t = case_random(c, check_below(c, 2600 / c->thin));

            t.x = (struct place){gap, which & 1};
            t.y = (struct place){check_below(c, 64), which & 2};
            t.mask = (struct place){gap, which & 4};
            t.in_place = gap % 4 == 3;
            case_run(c, &t);
        }
    }
}

void check_matrices(struct check *c)
{
    static const size_t widest[] = {20, 260, 2200};

    for (size_t i = 0; i < 2000 / c->thin; i++) {
        const size_t rows = check_below(c, i % 50 == 0 ? 300 : 9);
        const size_t unit = i % 5 == 0 ? 8 : 1; /* rows that end at a byte can be folded into one */
        const size_t cols = check_below(c, widest[i % 3]) / unit * unit;
        struct test_case t = case_random(c, 0);

        t.flat = false;
        t.shape = (bitdrop_2d){.rows = rows, .cols = cols};
        if (check_below(c, 2))
            t.shape.pitch = cols + check_below(c, check_below(c, 2) ? 3000 : 9);
        else if (check_below(c, 2)) /* rows in tiles that may take one another's place */
            t.shape.pitch = (uint64_t)4096 << check_below(c, 4);
        if (check_below(c, 2))
            t.shape.x_stride = cols + check_below(c, 70);
        if (check_below(c, 2))
            t.shape.y_stride = cols + check_below(c, 70);
        if (check_below(c, 2))
            t.shape.mask_stride = (cols + 7) / 8 + check_below(c, 5);
        if (t.in_place)
            t.shape.y_stride = t.shape.x_stride;
        if (i % 4 == 0) { /* end at 2^64, the last legal end */
            const uint64_t pitch = t.shape.pitch == 0 ? cols : t.shape.pitch;

            t.cfg.offset = rows == 0 ? 0 : -((rows - 1) * pitch + cols);
        } else {
            t.cfg.offset >>= 1;
        }
        if (cols * rows * 8 + rows * 70 * 8 <= CASE_BYTES)
            case_run(c, &t);
    }
}

/* Beyond the size from which STORES_AUTO streams: the same bytes as through the caches. */
void check_large_calls(struct check *c)
{
    enum { N = (64 << 20) / 8 + 12345 };
    float *x = malloc(N * sizeof *x), *cached = malloc(N * sizeof *x), *y = malloc(N * sizeof *x);
    uint8_t *mask = malloc(N / 8 + 1);
    bitdrop_config cfg = check_random_config(c);

    if (x == NULL || cached == NULL || y == NULL || mask == NULL) {
        check_fail(c, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < N; i++)
        x[i] = (float)i;
    cfg.p = 0.3;
    cfg.offset >>= 1;
    for (int op = FORWARD; op < OPERATIONS; op++) {
        bitdrop_status status[2];

        cfg.stores = BITDROP_STORES_CACHED;
        status[0] = call_run(
            &(struct call){(enum operation)op, true, &cfg, BITDROP_F32, N, NULL, x, cached, mask});
        cfg.stores = BITDROP_STORES_AUTO;
        memset(y, 0x55, N * sizeof *y);
        status[1] = call_run(
            &(struct call){(enum operation)op, true, &cfg, BITDROP_F32, N, NULL, x, y, mask});
        if (status[0] != BITDROP_OK || status[1] != BITDROP_OK ||
            memcmp(y, cached, N * sizeof *y) != 0)
            check_fail(c, "%s of %d elements", operation_name((enum operation)op), N);
        c->cases++;
    }
out:
    free(x);
    free(cached);
    free(y);
    free(mask);
}
