/* SPDX-License-Identifier: Apache-2.0 */
#include "template/optimize.h"

#include "scalar/vec.h"
#include "scalar/vec_product.h"

#define ATTENTION bitdrop_attention_scalar
#include "template/attention_table.h"
