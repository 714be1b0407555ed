/* SPDX-License-Identifier: Apache-2.0 */
#include "loops.h"

#include <string.h>

static void copy(const struct loop_arguments *a) { memcpy(a->y, a->x, a->n * sizeof *a->x); }

/* multiply.c, once for each ISA */
void multiply_baseline(const struct loop_arguments *a);
void multiply_baseline_stream(const struct loop_arguments *a);
void multiply_avx2(const struct loop_arguments *a);
void multiply_avx2_stream(const struct loop_arguments *a);
void multiply_avx512(const struct loop_arguments *a);
void multiply_avx512_stream(const struct loop_arguments *a);
void multiply_neon_stream(const struct loop_arguments *a);

const struct loop limit_loops[] = {
    {"memcpy", copy, BITDROP_ISA_AUTO},
#ifdef __SSE2__
    {"y=ax-sse2", multiply_baseline, BITDROP_ISA_AUTO},
    {"y=ax-sse2-stream", multiply_baseline_stream, BITDROP_ISA_AUTO},
#else
    {"y=ax-baseline", multiply_baseline, BITDROP_ISA_AUTO},
#endif
#ifdef BITDROP_HAVE_AVX2
    {"y=ax-avx2", multiply_avx2, BITDROP_ISA_AVX2},
    {"y=ax-avx2-stream", multiply_avx2_stream, BITDROP_ISA_AVX2},
#endif
#ifdef BITDROP_HAVE_AVX512
    {"y=ax-avx512", multiply_avx512, BITDROP_ISA_AVX512},
    {"y=ax-avx512-stream", multiply_avx512_stream, BITDROP_ISA_AVX512},
#endif
#if defined(BITDROP_HAVE_NEON) && defined(__arm__)
    /* In AArch64 it is the baseline. Here compilers make no vectors of the plain loop, and none
       stream. */
    {"y=ax-neon", multiply_neon_stream, BITDROP_ISA_NEON},
#endif
};

const unsigned limit_loop_count = sizeof limit_loops / sizeof *limit_loops;
