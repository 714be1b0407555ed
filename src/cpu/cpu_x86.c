/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu.h"
#include "readers.h"

#if CPU_READER == CPU_X86
#include <cpuid.h>

/*
 * Volatile, because otherwise the compiler may move it up before the test of OSXSAVE. Without
 * OSXSAVE it is an illegal instruction. In assembly, because the intrinsic needs -mxsave.
 */
static uint64_t xgetbv0(void)
{
    uint32_t eax, edx;

    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return (uint64_t)edx << 32 | eax;
}

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
    __cpuid_count(leaf, subleaf, r[0], r[1], r[2], r[3]);
}

static const struct bitdrop_x86_reader this_cpu = {cpuid, xgetbv0};

bitdrop_isa_set bitdrop_cpu_isas(void)
{
    const struct bitdrop_x86_words w = bitdrop_x86_read(&this_cpu);

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

uint64_t bitdrop_cpu_last_level_cache(void) { return bitdrop_x86_last_level_cache(&this_cpu); }
#endif
