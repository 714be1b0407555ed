/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu.h"
#include "readers.h"

#if CPU_READER == CPU_X86
#include <cpuid.h>

/*
 * Volatile, or the compiler may move it in front of the test of OSXSAVE, where it is undefined. In
 * assembly, because the intrinsic wants -mxsave.
 */
static uint64_t xgetbv0(void)
{
    uint32_t eax, edx;

    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return (uint64_t)edx << 32 | eax;
}

bitdrop_isa_set bitdrop_cpu_isas(void)
{
    struct bitdrop_x86_words w = {.max_leaf = __get_cpuid_max(0, NULL)};
    uint32_t eax, ebx, ecx, edx;

    if (w.max_leaf >= 1) {
        __cpuid(1, eax, ebx, ecx, edx);
        w.leaf1_ecx = ecx;
        if (ecx & bit_OSXSAVE)
            w.xcr0 = xgetbv0();
    }
    if (w.max_leaf >= 7) {
        __cpuid_count(7, 0, eax, ebx, ecx, edx);
        w.leaf7_ebx = ebx;
        if (eax >= 1) { /* the last subleaf */
            __cpuid_count(7, 1, eax, ebx, ecx, edx);
            w.leaf7_1_eax = eax;
        }
    }
    return bitdrop_x86_isas(&w);
}

const struct bitdrop_tuning *bitdrop_cpu_tuning(void)
{
    uint32_t eax, ebx, ecx, edx, vendor = 0, model = 0;

    if (__get_cpuid_max(0, NULL) >= 1) {
        __cpuid(0, eax, ebx, ecx, edx);
        vendor = ebx;
        __cpuid(1, eax, ebx, ecx, edx);
        model = eax;
    }
    return bitdrop_x86_tuning(vendor, model);
}

/* The last of the caches that a leaf lists, which are in ascending order. */
static uint64_t last_cache_of(uint32_t leaf)
{
    uint64_t last = 0;

    for (uint32_t subleaf = 0; subleaf < 16; subleaf++) {
        uint32_t eax, ebx, ecx, edx;
        uint64_t bytes;

        __cpuid_count(leaf, subleaf, eax, ebx, ecx, edx);
        bytes = bitdrop_x86_cache_bytes(eax, ebx, ecx);
        if (bytes == 0)
            break;
        last = bytes;
    }
    return last;
}

uint64_t bitdrop_cpu_last_level_cache(void)
{
    const uint32_t intel = 4, amd = 0x8000001D;
    uint64_t bytes = 0;

    if ((uint32_t)__get_cpuid_max(0, NULL) >= intel)
        bytes = last_cache_of(intel);
    if (bytes == 0 && (uint32_t)__get_cpuid_max(0x80000000, NULL) >= amd)
        bytes = last_cache_of(amd);
    return bytes;
}
#endif
