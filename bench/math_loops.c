/* SPDX-License-Identifier: Apache-2.0 */
#include "loops.h"

#include "have.h"

/* math.c, once for each ISA */
#define DECLARATION(isa)                                                                           \
    void exp_##isa(const struct loop_arguments *a);                                                \
    void noise_##isa(const struct loop_arguments *a);
DECLARATION(scalar)
DECLARATION(avx2)
DECLARATION(avx512)
DECLARATION(neon)

/* In the order of enum math. */
#define LOOPS(suffix, isa, ISA)                                                                    \
    {"exp" suffix, exp_##isa, BITDROP_ISA_##ISA, 0},                                               \
    {                                                                                              \
        "log-sincospi" suffix, noise_##isa, BITDROP_ISA_##ISA, 0                                   \
    }

const struct loop math_loops[] = {
    LOOPS("", scalar, SCALAR),
#if BITDROP_HAVE_AVX2
    LOOPS("-avx2", avx2, AVX2),
#endif
#if BITDROP_HAVE_AVX512
    LOOPS("-avx512", avx512, AVX512),
#endif
#if BITDROP_HAVE_NEON
    LOOPS("-neon", neon, NEON),
#endif
};

const unsigned math_loop_count = sizeof math_loops / sizeof *math_loops;

unsigned math_loop_of(enum math math, bitdrop_isa isa)
{
    unsigned i = math;

    while (i < math_loop_count && math_loops[i].isa != isa)
        i += MATHS;
    return i;
}
