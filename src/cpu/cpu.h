/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Computes from the raw feature words of a CPU which ISAs it and its OS can run, and how large its
 * caches are. These are pure functions, so that tests can pass the words of any CPU.
 */
#ifndef BITDROP_CPU_H
#define BITDROP_CPU_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "bitdrop/bitdrop.h"
#include "tuning.h"

/* A set: bit BITDROP_ISA_<ISA> of each ISA, and above these the bits of extensions. */
typedef uint32_t bitdrop_isa_set;
enum { BITDROP_AVX512_BF16 = 16, BITDROP_FMA = 17 };

/* CPUID leaves 1 and 7 (subleaves 0 and 1), and XCR0. A word that the CPU does not have is 0. */
struct bitdrop_x86_words {
    uint32_t max_leaf;
    uint32_t leaf1_ecx;
    uint32_t leaf7_ebx;
    uint64_t xcr0; /* read only if OSXSAVE is set */
    uint32_t leaf7_1_eax;
};

/* The instructions that read the features of a CPU. Tests pass other functions. */
struct bitdrop_x86_reader {
    void (*cpuid)(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]); /* EAX, EBX, ECX, EDX */
    uint64_t (*xgetbv0)(void); /* XCR0. An illegal instruction without OSXSAVE */
};

struct bitdrop_x86_words bitdrop_x86_read(const struct bitdrop_x86_reader *cpu);
bitdrop_isa_set bitdrop_x86_isas(const struct bitdrop_x86_words *w);
bitdrop_isa_set bitdrop_aarch64_isas(unsigned long hwcap);
bitdrop_isa_set bitdrop_armv7_isas(unsigned long hwcap);
bitdrop_isa_set bitdrop_arm_isas(int has_neon); /* for an OS that says only this */

/* Bytes of the cache that a subleaf of CPUID leaf 4 (AMD: 0x8000001D) describes. 0: no cache. */
uint64_t bitdrop_x86_cache_bytes(uint32_t eax, uint32_t ebx, uint32_t ecx);

/* Bytes of the last cache that a CPU lists, which is the last level. 0: not known. */
uint64_t bitdrop_x86_last_level_cache(const struct bitdrop_x86_reader *cpu);

/*
 * STORES_AUTO streams if a call reads and writes at least this many bytes: those of the last-level
 * cache, but at least 8 MiB, and at most 64 MiB, because many cores share the largest caches.
 * cache: bytes of the last-level cache; 0: not known.
 */
size_t bitdrop_streaming_bytes_of(uint64_t cache);

/* Of this machine. Each call of these functions reads the CPU again. */
bitdrop_isa_set bitdrop_cpu_isas(void);
const struct bitdrop_tuning *bitdrop_cpu_tuning(void);
uint64_t bitdrop_cpu_last_level_cache(void); /* bytes; 0: not known */

/* What bitdrop_cpu_isas returned at the first call. Inline, because each call needs it. */
extern _Atomic bitdrop_isa_set bitdrop_isas; /* 0: not read yet. Every CPU has the bit of scalar */

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
