/* SPDX-License-Identifier: Apache-2.0 */
/* Compares masks of DropBlock with masks in which each square is dropped by itself. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "oracle.h"
#include "rows.h"
#include "watch.h"

struct blocks {
    bitdrop_config cfg;
    size_t planes, height, width, block;
};

static double gamma_of(const struct blocks *b)
{
    const double h = (double)b->height, w = (double)b->width, k = (double)b->block;
    const double p = b->cfg.p;

    if (p == 0 || p == 1)
        return p;
    return fmin(1, p * (h * w) / (k * k) / ((h - k + 1) * (w - k + 1)));
}

/* Clears the bits of one square. */
static void drop_square(const struct blocks *b, uint8_t *plane, size_t i, size_t j)
{
    const size_t stride = (b->width + 7) / 8;

    for (size_t row = i; row < i + b->block; row++)
        for (size_t col = j; col < j + b->block; col++)
            plane[row * stride + col / 8] &= (uint8_t) ~(1 << (col % 8));
}

/* Writes the mask, and returns how many elements are kept. */
static size_t slow_blocks(const struct blocks *b, uint8_t *mask)
{
    const size_t stride = (b->width + 7) / 8, rows = b->planes * b->height;
    bitdrop_config seeds = b->cfg;
    size_t kept = 0;

    seeds.p = gamma_of(b);
    memset(mask, 0, rows * stride);
    for (size_t row = 0; row < rows; row++)
        for (size_t col = 0; col < b->width; col++)
            mask[row * stride + col / 8] |= (uint8_t)(1 << (col % 8));
    for (size_t n = 0; n < b->planes; n++)
        for (size_t i = 0; i + b->block <= b->height; i++)
            for (size_t j = 0; j + b->block <= b->width; j++)
                if (!oracle_keep(&seeds, seeds.offset + (n * b->height + i) * b->width + j))
                    drop_square(b, mask + n * b->height * stride, i, j);
    for (size_t i = 0; i < rows * stride; i++)
        kept += (size_t)__builtin_popcount(mask[i]);
    return kept;
}

static void check_one(struct check *c, struct blocks b)
{
    static const bitdrop_parallel parallel = {.run = check_run_backwards, .tasks = 3};
    static struct guard guards[3];
    const size_t bytes = b.planes * b.height * ((b.width + 7) / 8);
    const struct place at = {check_below(c, 2) ? 0 : check_below(c, 64), check_below(c, 2)};
    size_t kept = 0;

    if (guards[0].size == 0) {
        guards[0] = guard_new(1);
        guards[1] = guard_new(5000);
        guards[2] = guard_new(100000);
    }
    const struct rows mask = rows_new(guards, 1, bytes, bytes, at);
    const size_t wanted = slow_blocks(&b, rows_shadow(&mask, 0));
    const bool counts = check_below(c, 4) != 0;

    if (check_below(c, 2))
        b.cfg.parallel = &parallel;
    const bitdrop_status status = bitdrop_mask_dropblock(&b.cfg, b.planes, b.height, b.width,
                                                         b.block, mask.at, counts ? &kept : NULL);

    if (status != BITDROP_OK || guard_difference(mask.guard) != NULL || (counts && kept != wanted))
        check_fail(c,
                   "%zu planes of %zu x %zu, block %zu, p %a, offset %" PRIu64 " seed %" PRIu64
                   " stream %" PRIu32 " rounds %d: status %d, kept %zu, not %zu, first byte that "
                   "differs: %td",
                   b.planes, b.height, b.width, b.block, b.cfg.p, b.cfg.offset, b.cfg.seed,
                   b.cfg.stream, b.cfg.rounds, status, kept, wanted,
                   guard_difference(mask.guard) == NULL ? -1
                                                        : guard_difference(mask.guard) - mask.at);
    c->cases++;
}

static void check_blocks_of_random_shapes(struct check *c)
{
    static const size_t widest[] = {9, 40, 300};

    for (size_t i = 0; i < 600 / c->thin; i++) {
        struct blocks b = {.cfg = check_random_config(c)};

        b.planes = 1 + check_below(c, 4);
        b.height = 1 + check_below(c, 24);
        b.width = 1 + check_below(c, widest[i % 3]);
        b.block = 1 + check_below(c, b.height < b.width ? b.height : b.width);
        if (check_below(c, 2) && b.block > 3)
            b.block = 3;
        b.cfg.mask_use = (uint8_t)check_below(c, 2); /* the call only checks it */
        b.cfg.offset >>= 1;
        if (i % 10 == 0)
            b.cfg.offset = -(uint64_t)(b.planes * b.height * b.width);
        check_one(c, b);
    }
}

/* Rows longer than a tile, and calls that are large enough to be cut into tasks. */
static void check_large_blocks(struct check *c)
{
    const bitdrop_config cfg = check_random_config(c);

    for (size_t i = 0; i < 2; i++) {
        struct blocks b = {cfg, 2, 300, 300, 7};

        if (i == 1)
            b = (struct blocks){cfg, 1, 4, 9001, 3};
        b.cfg.offset >>= 1;
        b.cfg.p = 0.1;
        check_one(c, b);
    }
}

/* No two tasks write the same byte. */
static void check_tasks_of_blocks(struct check *c)
{
    enum { BYTES = 7 * 256 * 32 };
    static unsigned char mask[BYTES], owner[BYTES], nothing[1];
    struct watch w = {{{mask, owner, BYTES, false}, {nothing, nothing, 0, false}}};
    const bitdrop_parallel parallel = {.run = watch_run, .context = &w, .tasks = 3};
    bitdrop_config cfg = check_random_config(c);

    cfg.offset >>= 1;
    cfg.p = 0.3;
    cfg.parallel = &parallel;
    watch_clear(&w);
    if (bitdrop_mask_dropblock(&cfg, 7, 256, 256, 5, mask, NULL) != BITDROP_OK ||
        w.buffer[0].shared)
        check_fail(c, "tasks write the same byte");
    for (size_t i = 0; i < BYTES; i++)
        if (owner[i] == 0) {
            check_fail(c, "no task writes byte %zu", i);
            break;
        }
    c->cases++;
}

static void expect_status(struct check *c, const char *what, const struct blocks *b, uint8_t *mask,
                          size_t *kept, bitdrop_status wanted)
{
    const bitdrop_status got =
        bitdrop_mask_dropblock(&b->cfg, b->planes, b->height, b->width, b->block, mask, kept);

    if (got != wanted)
        check_fail(c, "%s: status %d, not %d", what, got, wanted);
    c->cases++;
}

static void check_block_statuses(struct check *c)
{
    union {
        uint8_t byte[200];
        size_t kept[25];
    } a, before;
    size_t *kept = a.kept + sizeof a / sizeof(size_t) - 1;
    uint8_t *mask = a.byte;

#define EXPECT(change, status)                                                                     \
    do {                                                                                           \
        struct blocks b = {{.p = 0.25, .isa = (uint8_t)c->isa}, 2, 10, 12, 3};                     \
        change;                                                                                    \
        expect_status(c, #change, &b, mask, kept, status);                                         \
    } while (0)
    for (size_t i = 0; i < sizeof a; i++)
        a.byte[i] = (uint8_t)check_random(c);
    before = a;
    if (bitdrop_mask_dropblock(NULL, 2, 10, 12, 3, mask, kept) != BITDROP_ERR_NULL)
        check_fail(c, "a config of NULL is accepted");
    EXPECT(mask = NULL, BITDROP_ERR_NULL);
    EXPECT((mask = NULL, b.cfg.p = 2), BITDROP_ERR_NULL);
    mask = a.byte;
    EXPECT(b.cfg.p = 2, BITDROP_ERR_PROBABILITY);
    EXPECT((b.cfg.p = 2, b.block = 0), BITDROP_ERR_PROBABILITY);
    EXPECT(b.cfg.rounds = 5, BITDROP_ERR_CONFIG);
    EXPECT(b.cfg.mask_use = 2, BITDROP_ERR_CONFIG);
    EXPECT(b.cfg.reserved[1] = 2, BITDROP_ERR_CONFIG);
    EXPECT((b.cfg.rounds = 5, b.cfg.isa = 99), BITDROP_ERR_CONFIG);
    EXPECT((b.cfg.isa = 99, b.block = 0), BITDROP_ERR_ISA);
    EXPECT(b.block = 0, BITDROP_ERR_RANGE);
    EXPECT(b.block = 11, BITDROP_ERR_RANGE);
    EXPECT((b.block = 11, b.height = 12, b.width = 10), BITDROP_ERR_RANGE);
    EXPECT((b.planes = 0, b.block = 0), BITDROP_ERR_RANGE);
    EXPECT((b.height = 0, b.block = 1), BITDROP_ERR_RANGE);
    EXPECT(b.planes = SIZE_MAX, BITDROP_ERR_RANGE);
    EXPECT((b.planes = SIZE_MAX / 4, b.height = 4, b.width = 8), BITDROP_ERR_RANGE);
    EXPECT((b.planes = 1, b.height = SIZE_MAX, b.width = SIZE_MAX), BITDROP_ERR_RANGE);
    EXPECT(b.cfg.offset = -(uint64_t)239, BITDROP_ERR_RANGE);
    EXPECT((b.cfg.offset = UINT64_MAX, kept = a.kept), BITDROP_ERR_RANGE);
    EXPECT(kept = a.kept, BITDROP_ERR_OVERLAP);
    EXPECT(kept = a.kept + 39 / sizeof(size_t), BITDROP_ERR_OVERLAP);
    if (memcmp(&a, &before, sizeof a) != 0)
        check_fail(c, "a call that fails wrote something");
    EXPECT((kept = NULL, mask = NULL, b.planes = 0), BITDROP_OK);
    EXPECT((kept = a.kept, b.planes = 0), BITDROP_OK);
    if (memcmp(&a, &before, sizeof a) != 0)
        check_fail(c, "a call without elements wrote something");
    mask = a.byte;
    EXPECT(kept = a.kept + 40 / sizeof(size_t), BITDROP_OK);
    EXPECT((kept = NULL, b.cfg.offset = -(uint64_t)240), BITDROP_OK);
#undef EXPECT
}

void check_dropblock(struct check *c)
{
    check_blocks_of_random_shapes(c);
    check_large_blocks(c);
    check_tasks_of_blocks(c);
    check_block_statuses(c);
}
