/* SPDX-License-Identifier: Apache-2.0 */
#include "softmax_loops.h"

#include "have.h"

extern const struct softmax_loops softmax_avx2, softmax_avx512;

const struct softmax_loops *softmax_loops_of(bitdrop_isa isa)
{
#if BITDROP_HAVE_AVX2
    if (isa == BITDROP_ISA_AVX2)
        return &softmax_avx2;
#endif
#if BITDROP_HAVE_AVX512
    if (isa == BITDROP_ISA_AVX512)
        return &softmax_avx512;
#endif
    (void)isa;
    return NULL;
}
