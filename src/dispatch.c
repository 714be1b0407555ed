/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three words of state, each written whole and never changed after: what this CPU runs, the ISA
 * that the environment asks for, and how large the caches are. Threads that come first together all
 * compute the same set and size, and the first of them to store an ISA decides for all.
 */
#include "dispatch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"

enum { ISA_COUNT = BITDROP_ISA_NEON + 1 };

static const char *const names[ISA_COUNT] = {"auto", "scalar", "avx2", "avx512", "neon"};

/* Later is better, in large calls. */
static const struct bitdrop_kernels *const tables[ISA_COUNT] = {
    [BITDROP_ISA_SCALAR] = &bitdrop_kernels_scalar,
#ifdef BITDROP_HAVE_AVX2
    [BITDROP_ISA_AVX2] = &bitdrop_kernels_avx2,
#endif
#ifdef BITDROP_HAVE_AVX512
    [BITDROP_ISA_AVX512] = &bitdrop_kernels_avx512,
#endif
#ifdef BITDROP_HAVE_NEON
    [BITDROP_ISA_NEON] = &bitdrop_kernels_neon,
#endif
};

static bitdrop_isa_set cpu_isas(void)
{
    static _Atomic bitdrop_isa_set known; /* 0: not read yet, for every CPU runs scalar */
    bitdrop_isa_set isas = atomic_load_explicit(&known, memory_order_relaxed);

    if (isas == 0) {
        isas = bitdrop_cpu_isas();
        atomic_store_explicit(&known, isas, memory_order_relaxed);
    }
    return isas;
}

static const struct bitdrop_kernels *table_of(unsigned isa)
{
    if (isa >= ISA_COUNT || !(cpu_isas() >> isa & 1))
        return NULL;
#ifdef BITDROP_HAVE_AVX512_BF16
    if (isa == BITDROP_ISA_AVX512 && cpu_isas() >> BITDROP_AVX512_BF16 & 1)
        return &bitdrop_kernels_avx512_bf16;
#endif
    return tables[isa];
}

/* AVX2 makes 1,024 elements at a time and AVX-512 2,048: for so few it takes hardly longer. */
static bool is_small(const bitdrop_2d *shape)
{
    const size_t most = 1024;

    return shape->rows == 0 || shape->cols <= most / shape->rows;
}

static const struct bitdrop_kernels *best_table(const bitdrop_2d *shape)
{
    unsigned isa = ISA_COUNT - 1;

    if (is_small(shape) && cpu_isas() >> BITDROP_AVX512_STARTS_SLOWLY & 1)
        isa = BITDROP_ISA_AVX2;
    while (table_of(isa) == NULL)
        isa--;
    return table_of(isa);
}

/* The ISA of the variable BITDROP_ISA; ISA_COUNT if it makes no sense. */
static unsigned isa_of_environment(void)
{
    const char *wanted = getenv("BITDROP_ISA");
    unsigned isa = BITDROP_ISA_AUTO;

    if (wanted == NULL || *wanted == '\0')
        return isa;
    while (isa < ISA_COUNT && strcmp(wanted, names[isa]) != 0)
        isa++;
    return isa;
}

/* The same, as the first call found it. */
static unsigned wanted_isa(void)
{
    enum { UNREAD = 0, READ = 1 }; /* READ + isa */
    static _Atomic unsigned known;
    unsigned wanted = atomic_load_explicit(&known, memory_order_relaxed);

    if (wanted == UNREAD) {
        const unsigned mine = READ + isa_of_environment();

        if (atomic_compare_exchange_strong_explicit(&known, &wanted, mine, memory_order_relaxed,
                                                    memory_order_relaxed))
            wanted = mine;
    }
    return wanted - READ;
}

const struct bitdrop_kernels *bitdrop_kernels_for(unsigned isa, const bitdrop_2d *shape)
{
    const unsigned wanted = wanted_isa(); /* always: the first call decides */

    if (isa == BITDROP_ISA_AUTO)
        isa = wanted;
    return isa == BITDROP_ISA_AUTO ? best_table(shape) : table_of(isa);
}

size_t bitdrop_streaming_bytes(void)
{
    static _Atomic size_t known; /* 0: not read yet */
    size_t bytes = atomic_load_explicit(&known, memory_order_relaxed);

    if (bytes == 0) {
        bytes = bitdrop_streaming_bytes_of(bitdrop_cpu_last_level_cache());
        atomic_store_explicit(&known, bytes, memory_order_relaxed);
    }
    return bytes;
}

bool bitdrop_prefetches(void) { return cpu_isas() >> BITDROP_PREFETCHES & 1; }

bitdrop_isa bitdrop_isa_default(void)
{
    const bitdrop_2d large = {.rows = SIZE_MAX, .cols = SIZE_MAX};
    const struct bitdrop_kernels *table = bitdrop_kernels_for(BITDROP_ISA_AUTO, &large);

    return table == NULL ? BITDROP_ISA_AUTO : table->isa;
}

int bitdrop_isa_supported(bitdrop_isa isa)
{
    return isa == BITDROP_ISA_AUTO || table_of((unsigned)isa) != NULL;
}

const char *bitdrop_isa_name(bitdrop_isa isa)
{
    return (unsigned)isa < ISA_COUNT ? names[isa] : "unknown";
}
