/* SPDX-License-Identifier: Apache-2.0 */
/* The bf16 kernels again, for CPUs that have AVX512_BF16. */
#include "have.h"

#if BITDROP_HAVE_AVX512_BF16
#include "template/optimize.h"

#define WITH_AVX512_BF16
#include "avx512/vec.h"
#include "template/job.h"
#include "template/noise.h"

#define ROW bitdrop_avx512_bf16_row
#define DTYPE bf16
#define COMPUTE f32
#define BYTES 2
#include "template/apply.h"

#include "template/target_end.h"
#endif
