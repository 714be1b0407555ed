/* SPDX-License-Identifier: Apache-2.0 */
#include "have.h"

#if BITDROP_HAVE_AVX512
#include "template/optimize.h"

#include "avx512/vec.h"
#include "avx512/vec_product.h"

#define ATTENTION bitdrop_attention_avx512
#include "template/attention_table.h"

#include "template/target_end.h"
#endif
