/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the raw feature words of a CPU to the ISAs that it and its OS can run, and to its caches.
 * These steps are pure functions, so that tests can play CPUs that nobody here owns.
 */
#ifndef BITDROP_CPU_H
#define BITDROP_CPU_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "bitdrop/bitdrop.h"
#include "tuning.h"

/* A set of ISAs: bit isa is set. Above them, what else some kernels go by. */
typedef uint32_t bitdrop_isa_set;
enum { BITDROP_AVX512_BF16 = 16, BITDROP_FMA = 17 };

/* CPUID leaves 1 and 7 (subleaves 0 and 1), and XCR0; what was not there to be read is 0. */
struct bitdrop_x86_words {
    uint32_t max_leaf;
    uint32_t leaf1_ecx;
    uint32_t leaf7_ebx;
    uint64_t xcr0; /* read only where OSXSAVE says that it may be */
    uint32_t leaf7_1_eax;
};

/* The instructions that tell of a CPU. Tests have functions of their own. */
struct bitdrop_x86_reader {
    void (*cpuid)(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]); /* EAX, EBX, ECX, EDX */
    uint64_t (*xgetbv0)(void); /* XCR0. An illegal instruction without OSXSAVE */
};

struct bitdrop_x86_words bitdrop_x86_read(const struct bitdrop_x86_reader *cpu);
bitdrop_isa_set bitdrop_x86_isas(const struct bitdrop_x86_words *w);
bitdrop_isa_set bitdrop_aarch64_isas(unsigned long hwcap);
bitdrop_isa_set bitdrop_armv7_isas(unsigned long hwcap);
bitdrop_isa_set bitdrop_arm_isas(int has_neon); /* where the OS says just that */

/* Bytes of the cache that a subleaf of CPUID leaf 4 (AMD: 0x8000001D) tells of; 0 ends the list. */
uint64_t bitdrop_x86_cache_bytes(uint32_t eax, uint32_t ebx, uint32_t ecx);

/* Of the last cache that a CPU lists: caches are listed in ascending order. 0: not known. */
uint64_t bitdrop_x86_last_level_cache(const struct bitdrop_x86_reader *cpu);

/*
 * Bytes read and written from which STORES_AUTO streams, given those of the last-level cache, or 0:
 * as many, but 8 MiB at least, and 64 MiB at most, because many share the largest caches.
 */
size_t bitdrop_streaming_bytes_of(uint64_t cache);

/* Of this machine. All read it at each call. */
bitdrop_isa_set bitdrop_cpu_isas(void);
const struct bitdrop_tuning *bitdrop_cpu_tuning(void);
uint64_t bitdrop_cpu_last_level_cache(void); /* bytes; 0: not known */

/* What bitdrop_cpu_isas found, which is read once. Inline, because each call asks. */
extern _Atomic bitdrop_isa_set bitdrop_isas; /* 0: not read yet, because every CPU runs scalar */

static inline bitdrop_isa_set bitdrop_known_isas(void)
{
    bitdrop_isa_set isas = atomic_load_explicit(&bitdrop_isas, memory_order_relaxed);

    if (isas == 0) {
        isas = bitdrop_cpu_isas();
        atomic_store_explicit(&bitdrop_isas, isas, memory_order_relaxed);
    }
    return isas;
}

#endif
