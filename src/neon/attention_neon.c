/* SPDX-License-Identifier: Apache-2.0 */
#include "have.h"

#if BITDROP_HAVE_NEON
#include "template/optimize.h"

#include "neon/vec.h"
#include "neon/vec_product.h"

#define ATTENTION bitdrop_attention_neon
#include "template/attention_table.h"

#include "template/target_end.h"
#endif
