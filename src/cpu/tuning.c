/* SPDX-License-Identifier: Apache-2.0 */
#include "tuning.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };
#define NEVER SIZE_MAX

#define INTEL BITDROP_CPUID_INTEL
#define AMD BITDROP_CPUID_AMD

/* A microarchitecture: models first_model to last_model of a family. */
struct entry {
    uint32_t vendor;
    unsigned family, first_model, last_model;
    struct bitdrop_tuning tuning;
};

static const struct entry entries[] = {
    {INTEL, 0x06, 0x8F, 0x8F, {"Sapphire Rapids", 1024, 2 * KIB, true, false, NEVER, MIB, false}},
    {INTEL, 0x06, 0xCF, 0xCF, {"Emerald Rapids", 0, 2 * KIB, true, true, NEVER, MIB, false}},
    {INTEL, 0x06, 0xAD, 0xAE, {"Granite Rapids", 1024, 2 * KIB, true, false, NEVER, MIB, false}},
    {AMD, 0x19, 0x10, 0x1F, {"Zen 4", 0, 0, false, false, NEVER, NEVER, true}},
    {AMD, 0x19, 0x60, 0xAF, {"Zen 4", 0, 0, false, false, NEVER, NEVER, true}},
    {AMD, 0x1A, 0x00, 0x7F, {"Zen 5", 0, 8 * KIB, true, false, 4 * MIB, 16 * MIB, true}},
};

/*
 * The defaults. Most CPUs that were measured are faster with prefetching. On Intel CPUs 512-bit
 * operations are slow at first, and vdpbf16ps takes more than twice as long as the two
 * multiply-adds of f32 that it replaces.
 */
static const struct bitdrop_tuning other_intel = {"other Intel", 1024,  2 * KIB, true,
                                                  false,         NEVER, MIB,     false};
static const struct bitdrop_tuning other_x86 = {"other x86", 0,     2 * KIB, true,
                                                false,       NEVER, MIB,     true};

const struct bitdrop_tuning bitdrop_tuning_none = {"none", 0, 0, false, false, NEVER, NEVER, false};

/* Intel SDM vol. 2A, CPUID leaf 1; AMD APM vol. 3, E.3.2. */
unsigned bitdrop_x86_family(uint32_t eax)
{
    const unsigned base = eax >> 8 & 0xF;

    return base == 0xF ? base + (eax >> 20 & 0xFF) : base;
}

unsigned bitdrop_x86_model(uint32_t eax)
{
    const unsigned base = eax >> 8 & 0xF, low = eax >> 4 & 0xF;

    return base == 0xF || base == 6 ? (eax >> 16 & 0xF) << 4 | low : low;
}

const struct bitdrop_tuning *bitdrop_x86_tuning(uint32_t leaf0_ebx, uint32_t leaf1_eax)
{
    const unsigned family = bitdrop_x86_family(leaf1_eax), model = bitdrop_x86_model(leaf1_eax);

    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        const struct entry *e = &entries[i];

        if (e->vendor == leaf0_ebx && e->family == family && e->first_model <= model &&
            model <= e->last_model)
            return &e->tuning;
    }
    return leaf0_ebx == INTEL ? &other_intel : &other_x86;
}
