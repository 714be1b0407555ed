/* SPDX-License-Identifier: Apache-2.0 */
/* Masks of DropBlock, and counting, unpacking and packing, which have no choice of ISA. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "long_run.h"

enum { MASK, BYTES, PACKED };

static size_t ones(const unsigned char *mask, size_t bytes)
{
    size_t count = 0;

    for (size_t i = 0; i < bytes; i++)
        for (unsigned rest = mask[i]; rest != 0; rest &= rest - 1)
            count++;
    return count;
}

static void unpack_and_pack(struct worker *w, size_t n)
{
    struct region *mask = &w->wanted[MASK];
    const size_t bytes = bitdrop_mask_bytes(n);
    size_t kept = 0;

    region_set(mask, bytes, check_below(&w->c, 64), draw_input(&w->c, pools.any, BITDROP_F32));
    if (n % 8 > 0) /* packing writes 0 there */
        mask->at[bytes - 1] &= (unsigned char)((1U << (n % 8)) - 1);
    region_set(&w->wanted[BYTES], n, 0, NULL);
    for (size_t i = 0; i < n; i++)
        w->wanted[BYTES].at[i] = mask->at[i / 8] >> (i % 8) & 1;
    region_set(&w->got[BYTES], n, check_below(&w->c, 64), NULL);
    region_set(&w->got[MASK], bytes, check_below(&w->c, 64), NULL);
    expect_ok(w, bitdrop_mask_count(n, mask->at, &kept));
    if (kept != ones(mask->at, bytes))
        deviation(w, "differs", "the count");
    expect_ok(w, bitdrop_mask_unpack(n, mask->at, w->got[BYTES].at));
    expect_same(w, BYTES, "the unpacked mask", NULL);
    expect_ok(w, bitdrop_mask_pack(n, w->got[BYTES].at, w->got[MASK].at));
    expect_same(w, MASK, "the packed mask", NULL);
}

void masks_run(struct worker *w)
{
    struct check *c = &w->c;
    const size_t n = draw_size(c, w->most), height = draw_size(c, n > 300 ? 300 : n);
    const size_t width = draw_size(c, n / height > 300 ? 300 : n / height);
    const size_t planes = n / height / width;
    const size_t block = 1 + check_below(c, height < width ? height : width);
    const size_t bytes = planes * height * bitdrop_mask_bytes(width);
    bitdrop_config cfg = check_random_config(c), plan = cfg;
    size_t wanted = 0;

    plan.offset >>= 1;
    snprintf(w->text, sizeof w->text,
             "dropblock, %zu planes of %zu x %zu, block %zu; p %a, seed %" PRIu64
             ", stream %u, offset %" PRIu64 ", rounds %d; and masks of %zu elements",
             planes, height, width, block, plan.p, plan.seed, plan.stream, plan.offset, plan.rounds,
             n);
    cfg = plan;
    answer(w, KIND_MASKS, BITDROP_ISA_SCALAR, &cfg);
    region_set(&w->wanted[MASK], bytes, 0, NULL);
    expect_ok(
        w, bitdrop_mask_dropblock(&cfg, planes, height, width, block, w->wanted[MASK].at, &wanted));
    if (wanted != ones(w->wanted[MASK].at, bytes))
        deviation(w, "differs", "kept");
    for (int i = 0; i < BITDROP_ISA_COUNT; i++) {
        size_t kept = 0;

        if (!bitdrop_isa_supported((bitdrop_isa)i))
            continue;
        cfg = plan;
        vary(w, KIND_MASKS, (bitdrop_isa)i, &cfg);
        region_set(&w->got[MASK], bytes, check_below(c, 64), NULL);
        expect_ok(
            w, bitdrop_mask_dropblock(&cfg, planes, height, width, block, w->got[MASK].at, &kept));
        expect_same(w, MASK, "the mask", NULL);
        if (kept != wanted)
            deviation(w, "differs", "kept");
    }
    unpack_and_pack(w, n);
}
