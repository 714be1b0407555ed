/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu.h"

#define ALL_SET(word, bits) (((word) & (bits)) == (bits))
#define BIT(n) (UINT32_C(1) << (n))

enum { SCALAR = 1 << BITDROP_ISA_SCALAR };

_Atomic bitdrop_isa_set bitdrop_isas;

/* Intel SDM vol. 2A, CPUID; vol. 1, 13.3 for XCR0. */
enum {
    XCR0_YMM = 0x06, /* XMM and YMM state */
    XCR0_ZMM = 0xE6  /* and opmask, upper ZMM0-15, ZMM16-31 */
};
#define LEAF1_ECX_OSXSAVE BIT(27)
#define LEAF1_ECX_FMA (BIT(12) | BIT(28))                             /* FMA, AVX */
#define LEAF1_ECX_AVX2_TIER (BIT(12) | BIT(28) | BIT(29))             /* FMA, AVX, F16C */
#define LEAF7_EBX_AVX2_TIER (BIT(5) | BIT(8))                         /* AVX2, BMI2 */
#define LEAF7_EBX_AVX512_TIER (BIT(16) | BIT(17) | BIT(30) | BIT(31)) /* F, DQ, BW, VL */
#define LEAF7_1_EAX_AVX512_BF16 BIT(5)

enum { EAX, EBX, ECX, EDX, REGISTERS };

struct bitdrop_x86_words bitdrop_x86_read(const struct bitdrop_x86_reader *cpu)
{
    struct bitdrop_x86_words w = {0};
    uint32_t r[REGISTERS];

    cpu->cpuid(0, 0, r);
    w.max_leaf = r[EAX];
    if (w.max_leaf >= 1) {
        cpu->cpuid(1, 0, r);
        w.leaf1_ecx = r[ECX];
        if (r[ECX] & LEAF1_ECX_OSXSAVE)
            w.xcr0 = cpu->xgetbv0();
    }
    if (w.max_leaf >= 7) {
        cpu->cpuid(7, 0, r);
        w.leaf7_ebx = r[EBX];
        if (r[EAX] >= 1) { /* the last subleaf */
            cpu->cpuid(7, 1, r);
            w.leaf7_1_eax = r[EAX];
        }
    }
    return w;
}

bitdrop_isa_set bitdrop_x86_isas(const struct bitdrop_x86_words *w)
{
    bitdrop_isa_set isas = SCALAR;

    if (!ALL_SET(w->leaf1_ecx, LEAF1_ECX_OSXSAVE | LEAF1_ECX_FMA) || !ALL_SET(w->xcr0, XCR0_YMM))
        return isas;
    isas |= BIT(BITDROP_FMA);

    if (w->max_leaf < 7 || !ALL_SET(w->leaf1_ecx, LEAF1_ECX_AVX2_TIER) ||
        !ALL_SET(w->leaf7_ebx, LEAF7_EBX_AVX2_TIER))
        return isas;
    isas |= BIT(BITDROP_ISA_AVX2);

    if (!ALL_SET(w->leaf7_ebx, LEAF7_EBX_AVX512_TIER) || !ALL_SET(w->xcr0, XCR0_ZMM))
        return isas;
    isas |= BIT(BITDROP_ISA_AVX512);

    if (w->leaf7_1_eax & LEAF7_1_EAX_AVX512_BF16)
        isas |= BIT(BITDROP_AVX512_BF16);

    return isas;
}

/* Intel SDM vol. 2A, CPUID leaf 4; AMD APM vol. 3, E.4.16. Each field holds a number minus 1. */
uint64_t bitdrop_x86_cache_bytes(uint32_t eax, uint32_t ebx, uint32_t ecx)
{
    if ((eax & 0x1F) == 0) /* the type of the cache; 0: no cache */
        return 0;
    return (uint64_t)((ebx & 0xFFF) + 1) * ((ebx >> 12 & 0x3FF) + 1) * ((ebx >> 22) + 1) *
           ((uint64_t)ecx + 1);
}

static uint64_t last_cache_of(const struct bitdrop_x86_reader *cpu, uint32_t leaf)
{
    uint64_t last = 0;

    for (uint32_t subleaf = 0; subleaf < 16; subleaf++) {
        uint32_t r[REGISTERS];
        uint64_t bytes;

        cpu->cpuid(leaf, subleaf, r);
        bytes = bitdrop_x86_cache_bytes(r[EAX], r[EBX], r[ECX]);
        if (bytes == 0)
            break;
        last = bytes;
    }
    return last;
}

uint64_t bitdrop_x86_last_level_cache(const struct bitdrop_x86_reader *cpu)
{
    const uint32_t intel = 4, extended = 0x80000000, amd = 0x8000001D;
    uint64_t bytes = 0;
    uint32_t r[REGISTERS];

    cpu->cpuid(0, 0, r);
    if (r[EAX] >= intel)
        bytes = last_cache_of(cpu, intel);
    cpu->cpuid(extended, 0, r);
    if (bytes == 0 && r[EAX] >= amd)
        bytes = last_cache_of(cpu, amd);
    return bytes;
}

size_t bitdrop_streaming_bytes_of(uint64_t cache)
{
    const size_t least = 8 << 20, most = 64 << 20, usual = 32 << 20;

    if (cache == 0)
        return usual;
    return cache < least ? least : cache > most ? most : (size_t)cache;
}

bitdrop_isa_set bitdrop_arm_isas(int has_neon)
{
    bitdrop_isa_set isas = SCALAR;

    if (has_neon)
        isas |= BIT(BITDROP_ISA_NEON);

    return isas;
}

/* Linux, arch/arm64/include/uapi/asm/hwcap.h and arch/arm/include/uapi/asm/hwcap.h. */
enum { AARCH64_HWCAP_ASIMD = 1 << 1, ARMV7_HWCAP_NEON = 1 << 12 };

bitdrop_isa_set bitdrop_aarch64_isas(unsigned long hwcap)
{
    return bitdrop_arm_isas((hwcap & AARCH64_HWCAP_ASIMD) != 0);
}

bitdrop_isa_set bitdrop_armv7_isas(unsigned long hwcap)
{
    return bitdrop_arm_isas((hwcap & ARMV7_HWCAP_NEON) != 0);
}

#if !defined(__x86_64__) /* no code reads the caches and the model of other CPUs yet */
uint64_t bitdrop_cpu_last_level_cache(void) { return 0; }

const struct bitdrop_tuning *bitdrop_cpu_tuning(void) { return &bitdrop_tuning_none; }
#endif
