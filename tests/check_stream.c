/* SPDX-License-Identifier: Apache-2.0 */
/* What the stream promises across calls: cuts, shards, nesting, and unrelated neighbours. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "check.h"
#include "oracle.h"

enum { WHOLE = 20000 };

static bool bit(const uint8_t *mask, size_t i) { return mask[i / 8] >> (i % 8) & 1; }

static void must(struct check *c, bitdrop_status status)
{
    if (status != BITDROP_OK)
        check_fail(c, "refused: %s", bitdrop_status_string(status));
}

/* The first element where two runs of bits differ, or n. */
static size_t difference(const uint8_t *a, size_t i, const uint8_t *b, size_t j, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (bit(a, i + k) != bit(b, j + k))
            return k;
    return n;
}

/*
 * Blocks by themselves against the whole that they are of, for each number of planes up to beyond
 * those that a block runs at once. Of 2^18 elements 4 are still open after 16 planes.
 */
void check_blocks(struct check *c)
{
    enum { ELEMENTS = 1 << 18, BLOCK = 128 };
    uint8_t *whole = malloc(ELEMENTS / 8), part[BLOCK / 8];
    bitdrop_config cfg = check_random_config(c);

    if (whole == NULL) {
        check_fail(c, "out of memory");
        return;
    }
    cfg.offset = (cfg.offset >> 1) / BLOCK * BLOCK;
    for (int planes = 1; planes <= 18; planes++) {
        const uint64_t offset = cfg.offset;

        cfg.p = ldexp((double)(check_random(c) >> (64 - planes) | 1), -planes);
        must(c, bitdrop_mask(&cfg, ELEMENTS, whole));
        for (size_t i = 0; i < ELEMENTS; i += BLOCK) {
            cfg.offset = offset + i;
            must(c, bitdrop_mask(&cfg, BLOCK, part));
            if (memcmp(part, whole + i / 8, BLOCK / 8) != 0)
                check_fail(c, "block at %" PRIu64 " of p = %a", cfg.offset, cfg.p);
        }
        cfg.offset = offset;
        c->cases++;
    }
    free(whole);
}

static void cut(struct check *c, bitdrop_config cfg, bitdrop_dtype t, const unsigned char *x,
                const unsigned char *y, const uint8_t *mask, size_t begin, size_t end)
{
    static unsigned char part[WHOLE * 8];
    static uint8_t part_mask[WHOLE / 8 + 1];
    const size_t bytes = oracle_bytes(t), n = end - begin;

    cfg.offset += begin;
    must(c, bitdrop_forward(&cfg, t, n, x + begin * bytes, part, part_mask));
    if (memcmp(part, y + begin * bytes, n * bytes) != 0)
        check_fail(c, "cut %s [%zu, %zu): values, p %a offset %" PRIu64, dtype_name(t), begin, end,
                   cfg.p, cfg.offset);
    if (difference(part_mask, 0, mask, begin, n) != n)
        check_fail(c, "cut [%zu, %zu): bit %zu, p %a offset %" PRIu64, begin, end,
                   difference(part_mask, 0, mask, begin, n), cfg.p, cfg.offset);
    if (begin % 8 == 0 && memcmp(part_mask, mask + begin / 8, n / 8) != 0)
        check_fail(c, "cut [%zu, %zu): bytes", begin, end);
    c->cases++;
}

void check_cuts(struct check *c)
{
    static unsigned char x[WHOLE * 8], y[WHOLE * 8];
    static uint8_t mask[WHOLE / 8];

    for (unsigned sample = 0; sample < 200 / c->thin; sample++) {
        const bitdrop_dtype t = (bitdrop_dtype)(sample % 4);
        bitdrop_config cfg = check_random_config(c);

        cfg.offset >>= 1;
        check_fill(c, t, x, WHOLE);
        must(c, bitdrop_forward(&cfg, t, WHOLE, x, y, mask));
        for (size_t begin = 0, end; begin < WHOLE; begin = end) {
            end = begin + 1 + check_below(c, sample % 2 ? 4000 : 300);
            if (sample % 3 == 0)
                end = (end + 7) / 8 * 8;
            if (end > WHOLE)
                end = WHOLE;
            cut(c, cfg, t, x, y, mask, begin, end);
        }
    }
}

void check_shards(struct check *c)
{
    enum { ROWS = 37, COLS = 501 };
    static float x[ROWS * COLS], y[ROWS * COLS], part[ROWS * COLS];
    static uint8_t mask[(ROWS * COLS + 7) / 8], part_mask[ROWS * COLS];

    for (unsigned sample = 0; sample < 200 / c->thin; sample++) {
        bitdrop_config cfg = check_random_config(c);
        const size_t begin = check_below(c, COLS), cols = 1 + check_below(c, COLS - begin);
        const bitdrop_2d shape = {
            .rows = ROWS, .cols = cols, .pitch = COLS, .x_stride = COLS, .y_stride = COLS};
        const size_t row_bytes = bitdrop_mask_bytes(cols);

        cfg.offset >>= 1;
        check_fill(c, BITDROP_F32, x, ROWS * COLS);
        must(c, bitdrop_forward(&cfg, BITDROP_F32, ROWS * COLS, x, y, mask));
        cfg.offset += begin;
        memcpy(part, y, sizeof part);
        for (size_t r = 0; r < ROWS; r++)
            memset(part + r * COLS + begin, 0x55, cols * sizeof *part);
        must(c, bitdrop_forward_2d(&cfg, BITDROP_F32, &shape, x + begin, part + begin, part_mask));
        if (memcmp(part, y, sizeof part) != 0)
            check_fail(c, "shard [%zu, %zu) of %d columns: values", begin, begin + cols, COLS);
        for (size_t r = 0; r < ROWS; r++)
            if (difference(part_mask, 8 * r * row_bytes, mask, r * COLS + begin, cols) != cols)
                check_fail(c, "shard [%zu, %zu): row %zu", begin, begin + cols, r);
        c->cases++;
    }
}

void check_nested(struct check *c)
{
    static uint8_t less[WHOLE / 8], more[WHOLE / 8];

    for (unsigned sample = 0; sample < 100 / c->thin; sample++) {
        bitdrop_config cfg = check_random_config(c);
        const double p1 = check_random_p(c), p2 = check_random_p(c);

        cfg.offset >>= 1;
        cfg.p = fmin(p1, p2);
        must(c, bitdrop_mask(&cfg, WHOLE, less));
        cfg.p = fmax(p1, p2);
        must(c, bitdrop_mask(&cfg, WHOLE, more));
        for (size_t i = 0; i < WHOLE / 8; i++)
            if (more[i] & ~less[i]) {
                check_fail(c, "kept at p %a but not at %a: byte %zu", fmax(p1, p2), fmin(p1, p2),
                           i);
                break;
            }
        c->cases++;
    }
}

/* Two masks of p = 1/2 agree on half of the elements, within 6 standard deviations. */
static void expect_unrelated(struct check *c, const char *what, const uint8_t *a, const uint8_t *b,
                             size_t shift)
{
    const size_t n = WHOLE - shift;
    size_t agree = 0;

    for (size_t i = 0; i < n; i++)
        agree += bit(a, i) == bit(b, i + shift);
    if (fabs((double)agree - (double)n / 2) > 6 * sqrt((double)n) / 2)
        check_fail(c, "%s: %zu of %zu agree", what, agree, n);
    c->cases++;
}

void check_unrelated(struct check *c)
{
    static uint8_t a[WHOLE / 8], b[WHOLE / 8];

    for (unsigned sample = 0; sample < 40 / c->thin; sample++) {
        bitdrop_config cfg = check_random_config(c);

        cfg.p = 0.5;
        cfg.offset >>= 2;
        must(c, bitdrop_mask(&cfg, WHOLE, a));
        for (size_t shift = 1; shift < 300; shift += 1 + shift / 4)
            expect_unrelated(c, "a mask and itself shifted", a, a, shift);

        bitdrop_config other = cfg;
        other.seed ^= UINT64_C(1) << check_below(c, 64);
        must(c, bitdrop_mask(&other, WHOLE, b));
        expect_unrelated(c, "neighbouring seeds", a, b, 0);

        other = cfg;
        other.stream ^= UINT32_C(1) << check_below(c, 32);
        must(c, bitdrop_mask(&other, WHOLE, b));
        expect_unrelated(c, "neighbouring streams", a, b, 0);

        other = cfg;
        other.offset += WHOLE + (UINT64_C(1) << check_below(c, 61));
        must(c, bitdrop_mask(&other, WHOLE, b));
        expect_unrelated(c, "neighbouring offsets", a, b, 0);

        other = cfg;
        other.rounds = cfg.rounds == 7 ? 10 : 7;
        must(c, bitdrop_mask(&other, WHOLE, b));
        expect_unrelated(c, "seven and ten rounds", a, b, 0);
    }
}

enum { ALL_HALVES = 65536 };

/* y is what comes of each 16-bit value in order; keep == NULL: at inference. */
static void expect_halves(struct check *c, const char *what, const bitdrop_config *cfg,
                          bitdrop_dtype t, const uint16_t *y, const uint8_t *keep)
{
    for (size_t i = 0; i < ALL_HALVES; i++) {
        const uint16_t x = (uint16_t)i;
        uint16_t wanted;

        if (keep != NULL)
            oracle_train(cfg, t, bit(keep, i), &x, &wanted);
        else
            oracle_infer(cfg, t, &x, &wanted);
        if (!oracle_accepts(c->isa, t, &x, &wanted, &y[i]))
            check_fail(c, "%s %s of %04x at p %g: %04x, not %04x", what, dtype_name(t), x, cfg->p,
                       y[i], wanted);
    }
    c->cases++;
}

void check_half_values(struct check *c)
{
    static uint16_t x[ALL_HALVES], y[ALL_HALVES];
    static uint8_t mask[ALL_HALVES / 8], inverse[ALL_HALVES / 8];
    static const double ps[] = {0, 0.1, 0.5, 0.999, 1};

    for (size_t i = 0; i < ALL_HALVES; i++)
        x[i] = (uint16_t)i;
    for (size_t sample = 0; sample < 2 * 2 * sizeof ps / sizeof *ps; sample++) {
        const bitdrop_dtype t = sample % 2 ? BITDROP_F16 : BITDROP_BF16;
        bitdrop_config cfg = check_random_config(c);

        cfg.p = ps[sample / 4];
        cfg.scaling = sample / 2 % 2;
        cfg.offset >>= 1;
        must(c, bitdrop_forward(&cfg, t, ALL_HALVES, x, y, mask));
        expect_halves(c, "forward", &cfg, t, y, mask);
        for (size_t i = 0; i < sizeof mask; i++) /* so that each value is kept once */
            inverse[i] = (uint8_t)~mask[i];
        must(c, bitdrop_backward(&cfg, t, ALL_HALVES, x, y, inverse));
        expect_halves(c, "backward", &cfg, t, y, inverse);
        must(c, bitdrop_infer(&cfg, t, ALL_HALVES, x, y));
        expect_halves(c, "infer", &cfg, t, y, NULL);
        memcpy(y, x, sizeof y);
        must(c, bitdrop_recompute(&cfg, t, ALL_HALVES, y, y));
        expect_halves(c, "recompute in place", &cfg, t, y, mask);
    }
}
