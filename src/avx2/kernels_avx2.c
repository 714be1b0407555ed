/* SPDX-License-Identifier: Apache-2.0 */
#include "have.h"

#if BITDROP_HAVE_AVX2
#include "template/optimize.h"

#include "avx2/vec.h"

#define TABLE bitdrop_kernels_avx2
#define ISA BITDROP_ISA_AVX2
#define ATTENTION bitdrop_attention_avx2
#include "template/table.h"

#include "template/target_end.h"
#endif
