/* SPDX-License-Identifier: Apache-2.0 */
/* Attention again, for CPUs that have AVX512_BF16. */
#include "have.h"

#if BITDROP_HAVE_AVX512_BF16
#include "template/optimize.h"

#define WITH_AVX512_BF16
#include "avx512/vec.h"
#include "avx512/vec_product.h"

#define ATTENTION bitdrop_attention_avx512_bf16
#define BF16_PAIRS
#include "template/attention_table.h"

#include "template/target_end.h"
#endif
