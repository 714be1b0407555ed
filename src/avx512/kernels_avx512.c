/* SPDX-License-Identifier: Apache-2.0 */
#include "have.h"

#if BITDROP_HAVE_AVX512
#include "template/optimize.h"

#include "avx512/vec.h"

#define TABLE bitdrop_kernels_avx512
#define ISA BITDROP_ISA_AVX512
#define ATTENTION bitdrop_attention_avx512
#include "template/table.h"

#if BITDROP_HAVE_AVX512_BF16
_Static_assert(BITDROP_DTYPE_COUNT == 4, "a dtype is missing below");

const struct bitdrop_kernels bitdrop_kernels_avx512_bf16 = {
    .isa = ISA,
    .mask = kernel_mask,
    .mask_rows = kernel_mask_rows,
    .bodies = {f32_kernels, f64_kernels, f16_kernels, bitdrop_avx512_bf16_row},
    .attention = ATTENTION,
    .attention_pairs = &bitdrop_attention_pairs_avx512,
};
#endif

#include "template/target_end.h"
#endif
