/* SPDX-License-Identifier: Apache-2.0 */
#include "avx512/vec.h"

#define TABLE bitdrop_kernels_avx512
#define ISA BITDROP_ISA_AVX512
#include "template/table.h"
