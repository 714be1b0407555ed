/* SPDX-License-Identifier: Apache-2.0 */
#include "have.h"

#if BITDROP_HAVE_AVX2
#include "template/optimize.h"

#include "avx2/vec.h"
#include "avx2/vec_product.h"

#define ATTENTION bitdrop_attention_avx2
#include "template/attention_table.h"

#include "template/target_end.h"
#endif
