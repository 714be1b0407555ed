/* SPDX-License-Identifier: Apache-2.0 */
/* The bf16 kernels again, for CPUs that have AVX512_BF16. */
#include "avx512/vec.h"
#include "template/tile.h"

#define DTYPE bf16
#define COMPUTE f32
#define BYTES 2
#include "template/apply.h"

void bitdrop_avx512_bf16_forward(const struct bitdrop_job *job) { bf16_kernel_forward(job); }

void bitdrop_avx512_bf16_backward(const struct bitdrop_job *job) { bf16_kernel_backward(job); }
