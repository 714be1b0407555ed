/* SPDX-License-Identifier: Apache-2.0 */
#include "template/optimize.h"

#include "scalar/vec.h"

#define TABLE bitdrop_kernels_scalar
#define ISA BITDROP_ISA_SCALAR
#define ATTENTION bitdrop_attention_scalar
#include "template/table.h"
