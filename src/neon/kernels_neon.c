/* SPDX-License-Identifier: Apache-2.0 */
#include "neon/vec.h"

#define TABLE bitdrop_kernels_neon
#define ISA BITDROP_ISA_NEON
#include "template/table.h"
