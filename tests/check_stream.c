/* SPDX-License-Identifier: Apache-2.0 */
/* Checks properties of the stream that concern several masks: single blocks, nested masks, and
 * masks of neighbouring seeds, streams and offsets. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { WHOLE = 20000 };

static bool bit(const uint8_t *mask, size_t i) { return mask[i / 8] >> (i % 8) & 1; }

static void expect_ok(struct check *c, bitdrop_status status)
{
    if (status != BITDROP_OK)
        check_fail(c, "refused: %s", bitdrop_status_string(status));
}

/*
 * Compares calls on single blocks with one call on all of them, for 1 to 18 planes. A block makes
 * 16 planes at once (BLOCK_PLANES in template/block.h). Of 2^18 elements about 4 are still open
 * then.
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
        expect_ok(c, bitdrop_mask(&cfg, ELEMENTS, whole));
        for (size_t i = 0; i < ELEMENTS; i += BLOCK) {
            cfg.offset = offset + i;
            expect_ok(c, bitdrop_mask(&cfg, BLOCK, part));
            if (memcmp(part, whole + i / 8, BLOCK / 8) != 0)
                check_fail(c, "block at %" PRIu64 " of p = %a", cfg.offset, cfg.p);
        }
        cfg.offset = offset;
        c->cases++;
    }
    free(whole);
}

void check_nested(struct check *c)
{
    static uint8_t less[WHOLE / 8], more[WHOLE / 8];

    for (unsigned sample = 0; sample < 100 / c->thin; sample++) {
        bitdrop_config cfg = check_random_config(c);
        const double p1 = check_random_p(c), p2 = check_random_p(c);

        cfg.offset >>= 1;
        cfg.p = fmin(p1, p2);
        expect_ok(c, bitdrop_mask(&cfg, WHOLE, less));
        cfg.p = fmax(p1, p2);
        expect_ok(c, bitdrop_mask(&cfg, WHOLE, more));
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
        expect_ok(c, bitdrop_mask(&cfg, WHOLE, a));
        for (size_t shift = 1; shift < 300; shift += 1 + shift / 4)
            expect_unrelated(c, "a mask and itself shifted", a, a, shift);

        bitdrop_config other = cfg;
        other.seed ^= UINT64_C(1) << check_below(c, 64);
        expect_ok(c, bitdrop_mask(&other, WHOLE, b));
        expect_unrelated(c, "neighbouring seeds", a, b, 0);

        other = cfg;
        other.stream ^= UINT32_C(1) << check_below(c, 32);
        expect_ok(c, bitdrop_mask(&other, WHOLE, b));
        expect_unrelated(c, "neighbouring streams", a, b, 0);

        other = cfg;
        other.offset += WHOLE + (UINT64_C(1) << check_below(c, 61));
        expect_ok(c, bitdrop_mask(&other, WHOLE, b));
        expect_unrelated(c, "neighbouring offsets", a, b, 0);

        other = cfg;
        other.rounds = cfg.rounds == 7 ? 10 : 7;
        expect_ok(c, bitdrop_mask(&other, WHOLE, b));
        expect_unrelated(c, "seven and ten rounds", a, b, 0);
    }
}
