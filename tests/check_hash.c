/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash of masks: one number that is the same on every machine and ISA, for reports to be
 * compared by. It is the FNV-1a, 64 bits, of these masks one after the other, each of 10,007
 * elements and so 1,251 bytes:
 *
 *   for each p of probabilities, for each offset of offsets, for rounds 10 and 7,
 *   seed 0x0123456789ABCDEF, and stream 0, 1, 2, ... for one mask after the other.
 */
#include <inttypes.h>

#include "check.h"
#include "oracle.h"

enum { ELEMENTS = 10007, BYTES = (ELEMENTS + 7) / 8 };

static const double probabilities[] = {1e-9, 1.0 / 256, 0.1, 0.25, 0.5, 0.9};

/* In the last two a carry leaves the lower word of the counter, of late planes and of early ones.
 */
static const uint64_t offsets[] = {0, 12345, (UINT64_C(1) << 37) - 5000,
                                   (UINT64_C(1) << 39) - 5000};

enum {
    PROBABILITIES = sizeof probabilities / sizeof *probabilities,
    OFFSETS = sizeof offsets / sizeof *offsets,
    MASKS = PROBABILITIES * OFFSETS * 2
};

static bitdrop_config config_of(uint32_t mask)
{
    return (bitdrop_config){
        .p = probabilities[mask / 2 / OFFSETS],
        .offset = offsets[mask / 2 % OFFSETS],
        .rounds = mask % 2 == 0 ? 10 : 7,
        .seed = UINT64_C(0x0123456789ABCDEF),
        .stream = mask,
    };
}

static unsigned char masks[MASKS * BYTES];

uint64_t check_hash_of_masks(bitdrop_isa isa)
{
    for (uint32_t i = 0; i < MASKS; i++) {
        bitdrop_config cfg = config_of(i);

        cfg.isa = (uint8_t)isa;
        if (bitdrop_mask(&cfg, ELEMENTS, masks + i * BYTES) != BITDROP_OK)
            return 0;
    }
    return oracle_hash(masks, sizeof masks);
}

static uint64_t hash_by_oracle(void)
{
    for (uint32_t i = 0; i < MASKS; i++) {
        const bitdrop_config cfg = config_of(i);
        unsigned char *mask = masks + i * BYTES;

        for (size_t b = 0; b < BYTES; b++)
            mask[b] = 0;
        for (size_t e = 0; e < ELEMENTS; e++)
            mask[e / 8] |= (unsigned char)(oracle_keep(&cfg, cfg.offset + e) << (e % 8));
    }
    return oracle_hash(masks, sizeof masks);
}

void check_mask_hash(struct check *c)
{
    const uint64_t wanted = UINT64_C(0x7CEE6EB4082EA1D5);
    const uint64_t by_kernels = check_hash_of_masks(c->isa), by_oracle = hash_by_oracle();

    if (by_kernels != wanted || by_oracle != wanted)
        check_fail(c, "hash of masks: %016" PRIx64 ", by the oracle %016" PRIx64, by_kernels,
                   by_oracle);
    c->cases += MASKS;
}
