/* SPDX-License-Identifier: Apache-2.0 */
#include "loops.h"

#include "have.h"

/* math_noise.c, once for each ISA */
void math_noise_scalar(const struct loop_arguments *a);
void math_noise_avx2(const struct loop_arguments *a);
void math_noise_avx512(const struct loop_arguments *a);
void math_noise_neon(const struct loop_arguments *a);

const struct loop math_loops[] = {
    {"log-sincospi", math_noise_scalar, BITDROP_ISA_SCALAR, 0},
#if BITDROP_HAVE_AVX2
    {"log-sincospi-avx2", math_noise_avx2, BITDROP_ISA_AVX2, 0},
#endif
#if BITDROP_HAVE_AVX512
    {"log-sincospi-avx512", math_noise_avx512, BITDROP_ISA_AVX512, 0},
#endif
#if BITDROP_HAVE_NEON
    {"log-sincospi-neon", math_noise_neon, BITDROP_ISA_NEON, 0},
#endif
};

const unsigned math_loop_count = sizeof math_loops / sizeof *math_loops;
