/* SPDX-License-Identifier: Apache-2.0 */
#include "loops.h"

#include <string.h>

#include "have.h"

static void copy(const struct loop_arguments *a) { memcpy(a->y, a->x, a->n * sizeof *a->x); }

/* multiply.c, once for each ISA */
#define DECLARATION(isa)                                                                           \
    void multiply_##isa(const struct loop_arguments *a);                                           \
    void multiply_##isa##_prefetched(const struct loop_arguments *a);                              \
    void multiply_##isa##_streamed(const struct loop_arguments *a);                                \
    void multiply_##isa##_pages_in_turn(const struct loop_arguments *a);
DECLARATION(baseline)
DECLARATION(avx2)
DECLARATION(avx512)
DECLARATION(neon)

/* Each of these is the fastest on some CPU at some size. */
#define PLAIN(name, isa, ISA)                                                                      \
    {"y=ax-" name, multiply_##isa, BITDROP_ISA_##ISA, 0},                                          \
    {                                                                                              \
        "y=ax-" name "-stream", multiply_##isa##_streamed, BITDROP_ISA_##ISA, 0                    \
    }
#define PREFETCHING(name, isa, ISA)                                                                \
    {"y=ax-" name "-prefetch", multiply_##isa##_prefetched, BITDROP_ISA_##ISA, 2048},              \
        {"y=ax-" name "-stream-2k", multiply_##isa##_streamed, BITDROP_ISA_##ISA, 2048},           \
        {"y=ax-" name "-stream-4p", multiply_##isa##_pages_in_turn, BITDROP_ISA_##ISA, 0},         \
    {                                                                                              \
        "y=ax-" name "-stream-8k", multiply_##isa##_streamed, BITDROP_ISA_##ISA, 8192              \
    }

const struct loop limit_loops[] = {
    {"memcpy", copy, BITDROP_ISA_AUTO, 0},
#ifdef __SSE2__
    PLAIN("sse2", baseline, AUTO),
#else
    {"y=ax-baseline", multiply_baseline, BITDROP_ISA_AUTO, 0},
#endif
#if BITDROP_HAVE_AVX2
    PLAIN("avx2", avx2, AVX2),
    PREFETCHING("avx2", avx2, AVX2),
#endif
#if BITDROP_HAVE_AVX512
    PLAIN("avx512", avx512, AVX512),
    PREFETCHING("avx512", avx512, AVX512),
#endif
#if BITDROP_HAVE_NEON && defined(__arm__)
    /* In AArch64 NEON is the baseline. Compilers for ARMv7 do not vectorise the plain loop, and
       f32_stream stores through the caches there. */
    {"y=ax-neon", multiply_neon_streamed, BITDROP_ISA_NEON, 0},
#endif
};

const unsigned limit_loop_count = sizeof limit_loops / sizeof *limit_loops;
