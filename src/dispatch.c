/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of the library is four atomic words, each written as a whole. Three are here: the
 * tuning of this CPU, the ISA that the variable BITDROP_ISA names, and the bytes from which
 * STORES_AUTO streams. cpu.h has the fourth: the ISAs that this CPU runs. If several threads make
 * the first call, all of them compute these words, and the first to store the ISA of the variable
 * decides for all. Later only bitdrop_set_tuning changes a word. Programs that measure call it.
 */
#include "dispatch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "isas.h"

#ifdef BITDROP_LEFT_OUT /* warn, because calls are slower in such a build */
#pragma message("bitdrop is compiled without " BITDROP_LEFT_OUT)
#endif

static const char *const names[BITDROP_ISA_COUNT] = {"auto",
#define NAME(name, NAME) [BITDROP_ISA_##NAME] = #name,
                                                     BITDROP_ISAS(NAME)};

/* The tables that are compiled, the best first. */
static const struct {
    const struct bitdrop_kernels *kernels;
    bitdrop_isa_set needs;
} tables[] = {
#define TABLE_ROW(table, have, isa, extensions)                                                    \
    BITDROP_IF(have, {&bitdrop_kernels_##table, UINT32_C(1) << BITDROP_ISA_##isa | (extensions)}, )
    BITDROP_TABLES(TABLE_ROW)};

/* The best table that a CPU with `isas` runs: that of `isa`, or for AUTO of any except `avoid`. */
static const struct bitdrop_kernels *best_table(bitdrop_isa_set isas, unsigned isa, unsigned avoid)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const struct bitdrop_kernels *kernels = tables[i].kernels;
        const bool wanted =
            isa == BITDROP_ISA_AUTO ? kernels->isa != avoid : (unsigned)kernels->isa == isa;

        if (wanted && (isas & tables[i].needs) == tables[i].needs)
            return kernels;
    }
    return NULL;
}

static _Atomic(const struct bitdrop_tuning *) tuning; /* NULL: not read yet */

const struct bitdrop_tuning *bitdrop_tuning(void)
{
    const struct bitdrop_tuning *t = atomic_load_explicit(&tuning, memory_order_relaxed);

    if (t == NULL) {
        t = bitdrop_cpu_tuning();
        bitdrop_set_tuning(t);
    }
    return t;
}

void bitdrop_set_tuning(const struct bitdrop_tuning *t)
{
    atomic_store_explicit(&tuning, t, memory_order_relaxed);
}

/* Whether rows * cols <= most, even where the product would overflow. */
static bool is_small(size_t most, size_t rows, size_t cols)
{
    return most > 0 && (rows <= 1 ? rows * cols <= most : cols <= most / rows);
}

const struct bitdrop_kernels *bitdrop_kernels_of(bitdrop_isa_set isas,
                                                 const struct bitdrop_tuning *t, unsigned isa,
                                                 size_t rows, size_t cols)
{
    const bool small = is_small(t->small_elements, rows, cols);

    return best_table(isas, isa, small ? BITDROP_ISA_AVX512 : BITDROP_ISA_AUTO /* none */);
}

/* The ISA that the variable BITDROP_ISA names. BITDROP_ISA_COUNT: it names none. */
static unsigned isa_of_environment(void)
{
    const char *wanted = getenv("BITDROP_ISA");
    unsigned isa = BITDROP_ISA_AUTO;

    if (wanted == NULL || *wanted == '\0')
        return isa;
    while (isa < BITDROP_ISA_COUNT && strcmp(wanted, names[isa]) != 0)
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

const struct bitdrop_kernels *bitdrop_kernels_for(unsigned isa, size_t rows, size_t cols)
{
    const unsigned wanted = wanted_isa(); /* even if not used: the first call reads the variable */

    return bitdrop_kernels_of(bitdrop_known_isas(), bitdrop_tuning(),
                              isa == BITDROP_ISA_AUTO ? wanted : isa, rows, cols);
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

bitdrop_isa bitdrop_isa_default(void)
{
    const struct bitdrop_kernels *table = bitdrop_kernels_for(BITDROP_ISA_AUTO, SIZE_MAX, SIZE_MAX);

    return table == NULL ? BITDROP_ISA_AUTO : table->isa;
}

int bitdrop_isa_supported(bitdrop_isa isa)
{
    return isa == BITDROP_ISA_AUTO ||
           best_table(bitdrop_known_isas(), (unsigned)isa, BITDROP_ISA_AUTO) != NULL;
}

const char *bitdrop_isa_name(bitdrop_isa isa)
{
    return (unsigned)isa < BITDROP_ISA_COUNT ? names[isa] : "unknown";
}
