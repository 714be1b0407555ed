/* SPDX-License-Identifier: Apache-2.0 */
/* Attention in bf16 by products of pairs, for CPUs that have AVX512_BF16. */
#include "have.h"

#if BITDROP_HAVE_AVX512_BF16
#include "template/optimize.h"

#define WITH_AVX512_BF16
#include "avx512/vec.h"
#include "avx512/vec_product.h"

#define ATTENTION_PAIRS bitdrop_attention_pairs_avx512
#include "template/attention_pairs.h"

#include "template/target_end.h"
#endif
