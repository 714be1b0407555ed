/* SPDX-License-Identifier: Apache-2.0 */
/* Compares every kernel and dtype with the reference. Each check covers one parameter completely
 * and draws the others. */
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
    /* Each number of planes that a p can have. */
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

            for (int i = 0; i < BITDROP_MAX_INPUTS; i++)
                t.in[i] = (struct place){i == 0 ? gap : check_below(c, 64), which & 1};
            t.y = (struct place){check_below(c, 64), which & 2};
            t.mask = (struct place){gap, which & 4};
            t.in_place = gap % 4 == 3;
            t.overlapping = false;
            case_run(c, &t);
        }
    }
}

/* A random shape with `rows` rows and `cols` columns. Its other members may differ from those of a
 * dense matrix. */
static bitdrop_2d random_shape(struct check *c, size_t rows, size_t cols)
{
    bitdrop_2d s = {.rows = rows, .cols = cols};

    s.unit = check_below(c, 4) == 0 ? BITDROP_EACH_ROW : BITDROP_EACH_ELEMENT;
    if (s.unit == BITDROP_EACH_ELEMENT && check_below(c, 2))
        s.pitch = cols + check_below(c, check_below(c, 2) ? 3000 : 9);
    else if (s.unit == BITDROP_EACH_ELEMENT && check_below(c, 2) && cols <= 4096)
        s.pitch = (uint64_t)4096 << check_below(c, 4); /* a power of 2, as the size of a tile is */
    if (check_below(c, 2))
        s.x_stride = cols + check_below(c, 70);
    if (check_below(c, 2))
        s.y_stride = cols + check_below(c, 70);
    if (check_below(c, 2))
        s.z_stride = cols + check_below(c, 70);
    if (check_below(c, 2))
        s.mask_stride = (cols + 7) / 8 + check_below(c, 5);
    if (check_below(c, 2))
        s.mask_repeat = 1 + check_below(c, check_below(c, 3) == 0 ? rows + 2 : 4);
    return s;
}

/* Rows of whole words without a pitch, in aligned buffers, which may be applied as if they were one
 * row. */
static void align_rows(struct check *c, struct test_case *t)
{
    bitdrop_2d *s = &t->shape;

    if (check_below(c, 4) != 0)
        s->pitch = 0;
    s->x_stride = s->x_stride / 32 * 32 < s->cols ? 0 : s->x_stride / 32 * 32;
    s->y_stride = s->y_stride / 32 * 32 < s->cols ? 0 : s->y_stride / 32 * 32;
    s->z_stride = s->z_stride / 32 * 32 < s->cols ? 0 : s->z_stride / 32 * 32;
    if (check_below(c, 2) != 0)
        t->y = (struct place){0, false};
}

void check_matrices(struct check *c)
{
    static const size_t widest[] = {20, 260, 2200}, units[] = {8, 32, 1, 32, 1};

    for (size_t i = 0; i < 2000 / c->thin; i++) {
        const size_t rows = check_below(c, i % 50 == 0 ? 300 : 9);
        const size_t unit = units[i % 5]; /* rows of whole bytes may be folded into one */
        const size_t cols = check_below(c, widest[i % 3]) / unit * unit;
        struct test_case t = case_random(c, 0);

        if ((cols + 70) * rows * 8 > CASE_BYTES)
            continue;
        t.flat = false;
        t.shape = random_shape(c, rows, cols);
        if (unit == 32)
            align_rows(c, &t);
        case_place(c, &t, i % 4 == 0);
        if (unit == 32 && check_below(c, 2))
            t.cfg.offset = t.cfg.offset / 32 * 32;
        case_run(c, &t);
    }
}

/* Rows of every width. Their bits begin at any bit, and a tile may end in a row or between two. */
void check_every_width(struct check *c)
{
    for (size_t cols = 1; cols <= 130; cols += 1 + check_below(c, 2 * c->thin - 1)) {
        const size_t rows = 2 + check_below(c, 12);
        struct test_case t = case_random(c, 0);

        t.flat = false;
        t.shape = random_shape(c, rows, cols);
        t.cfg.offset = 8192 - check_below(c, rows * cols);
        case_run(c, &t);
    }
}

/* Many short rows, so that their bits fill tiles even if rows have one bit or share a mask. */
void check_short_rows(struct check *c)
{
    for (size_t i = 0; i < 40 / c->thin + 2; i++) {
        const size_t cols = 1 + check_below(c, 4), rows = check_below(c, CASE_ELEMENTS / 4 / cols);
        struct test_case t = case_random(c, 0);

        t.flat = false;
        t.shape = (bitdrop_2d){.rows = rows, .cols = cols, .mask_repeat = check_below(c, 4)};
        t.shape.unit = i % 2 ? BITDROP_EACH_ELEMENT : BITDROP_EACH_ROW;
        case_place(c, &t, i % 4 == 0);
        case_run(c, &t);
    }
}

enum { LARGE = (64 << 20) / 8 + 12345 };

/* Streaming stores must write the same as stores through the caches. All inputs are one buffer. */
static void compare_large(struct check *c, enum bitdrop_operation op, const float *x, float *y[2],
                          uint8_t *mask)
{
    bitdrop_config cfg = check_random_config(c);
    struct call call = {
        .op = op, .flat = true, .cfg = &cfg, .n = LARGE, .in = {x, x, x}, .mask = mask};

    if (operation_row(op)->in[2] == IN_PROB)
        call.in[2] = NULL;
    cfg.p = 0.3;
    cfg.offset >>= 1;
    for (int i = 0; i < 2; i++) {
        cfg.stores = i == 0 ? BITDROP_STORES_CACHED : BITDROP_STORES_AUTO;
        memset(y[i], 0x55, LARGE * sizeof *x);
        call.y = y[i];
        if (call_run(&call) != BITDROP_OK)
            check_fail(c, "%s is refused", operation_name(op));
    }
    if (memcmp(y[0], y[1], LARGE * sizeof *x) != 0)
        check_fail(c, "%s of %d elements: streaming stores differ", operation_name(op), LARGE);
    c->cases++;
}

/* x and y have more than 64 MiB together, from which on BITDROP_STORES_AUTO always streams. */
void check_large_calls(struct check *c)
{
    float *x = malloc(LARGE * sizeof *x);
    float *y[2] = {malloc(LARGE * sizeof *x), malloc(LARGE * sizeof *x)};
    uint8_t *mask = malloc(LARGE / 8 + 1);
    const size_t step = c->thin > 1 ? 4 : 1;

    if (x == NULL || y[0] == NULL || y[1] == NULL || mask == NULL) {
        check_fail(c, "out of memory");
        goto out;
    }
    const double half = 0.5 * (double)LARGE;
    for (size_t i = 0; i < LARGE; i++)
        x[i] = (float)((double)i - half);
    memset(mask, 0x5A, LARGE / 8 + 1);
    for (size_t op = check_below(c, step); op < BITDROP_OPERATION_COUNT; op += step)
        if (operation_has_data((enum bitdrop_operation)op))
            compare_large(c, (enum bitdrop_operation)op, x, y, mask);
out:
    free(x);
    free(y[0]);
    free(y[1]);
    free(mask);
}
