/* SPDX-License-Identifier: Apache-2.0 */
#include "have.h"

#if BITDROP_HAVE_NEON
#include "template/optimize.h"

/* gcc would compute all addresses first, and they do not fit in 16 core registers. */
#if defined(__arm__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("no-schedule-insns")
#endif

#include "neon/vec.h"

#define TABLE bitdrop_kernels_neon
#define ISA BITDROP_ISA_NEON
#define ATTENTION bitdrop_attention_neon
#include "template/table.h"

#include "template/target_end.h"
#endif
