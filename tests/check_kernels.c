/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel and dtype against the oracle, one axis in full at a time and the others sampled. */
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
        8, 32, 128, 2048, UINT64_C(1) << 32, UINT64_C(1) << 37, UINT64_C(1) << 39, 0 /* = 2^64 */};

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
        const uint64_t top = check_random(c) >> 12 << 12;
        const uint64_t threshold = ((top | 1) << (64 - planes)) + (planes > 53 ? 0 : top);

        t.cfg.p = (double)(planes > 52 ? UINT64_C(1) << (64 - planes) : threshold) * 0x1p-64;
        if (t.cfg.p > 1)
            t.cfg.p = 1;
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
    for (size_t i = 0; i < 2000 / c->thin; i++) {
        const size_t rows = check_below(c, i % 50 == 0 ? 300 : 9);
        const size_t cols = check_below(c, i % 3 == 0   ? 20
                                           : i % 3 == 1 ? 260
                                                        : 2200) &
                            ~(i % 5 == 0 ? 7u : 0u);
        struct test_case t = case_random(c, 0);

        t.flat = false;
        t.shape = (bitdrop_2d){.rows = rows, .cols = cols};
        if (check_below(c, 2))
            t.shape.pitch = cols + check_below(c, check_below(c, 2) ? 3000 : 9);
        if (check_below(c, 2))
            t.shape.x_stride = cols + check_below(c, 70);
        if (check_below(c, 2))
            t.shape.y_stride = cols + check_below(c, 70);
        if (check_below(c, 2))
            t.shape.mask_stride = (cols + 7) / 8 + check_below(c, 5);
        if (t.in_place)
            t.shape.y_stride = t.shape.x_stride;
        t.cfg.offset >>= 1;
        if (cols * rows * 8 + rows * 70 * 8 <= CASE_BYTES)
            case_run(c, &t);
    }
}
