/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All attention kernels of an ISA, and their table: a struct bitdrop_attention_kernels for each
 * dtype. Included after the ISA's vec.h and vec_product.h, with
 *
 *   ATTENTION  name of the table: bitdrop_attention_<isa>
 */
#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif
#ifndef ATTENTION
#error "define ATTENTION"
#endif

#include <math.h>

#include "attention.h"
#include "template/number.h"
#include "template/strip.h"
#include "template/work.h"

#define COMPUTE f32
#include "template/attention_kernels.h"

#define COMPUTE f64
#include "template/attention_kernels.h"

#define DTYPE f32
#define LOAD_NUMBERS f32_load
#define STORE_NUMBERS f32_store
#define COMPUTE f32
#define BYTES 4
#include "template/attention_convert.h"

#define DTYPE f64
#define LOAD_NUMBERS f64_load
#define STORE_NUMBERS f64_store
#define COMPUTE f64
#define BYTES 8
#include "template/attention_convert.h"

#define DTYPE f16
#define LOAD_NUMBERS f16_load_f32
#define STORE_NUMBERS f16_store_f32
#define COMPUTE f32
#define BYTES 2
#include "template/attention_convert.h"

#define DTYPE bf16
#define LOAD_NUMBERS bf16_load_f32
#define STORE_NUMBERS bf16_store_f32
#define COMPUTE f32
#define BYTES 2
#include "template/attention_convert.h"

/* A factor is a number, so `pair` stays NULL, and grads and grad_rows are the same memory. */
#define KERNELS_OF(dtype, compute)                                                                 \
    {                                                                                              \
        .number = sizeof(compute##_number), .elements = 1, .lanes = compute##_LANES,               \
        .panel_cols = PRODUCT_VECTORS * compute##_LANES, .widen = dtype##_widen_rows,              \
        .factors = dtype##_widen_rows, .narrow = dtype##_narrow_rows,                              \
        .transpose = compute##_transpose, .product = compute##_product,                            \
        .forward_rows = compute##_forward_rows, .backward_rows = compute##_backward_rows,          \
        .dots = compute##_row_dots, .add = compute##_add_row                                       \
    }

const struct bitdrop_attention_kernels ATTENTION[BITDROP_DTYPE_COUNT] = {
    KERNELS_OF(f32, f32), KERNELS_OF(f64, f64), KERNELS_OF(f16, f32), KERNELS_OF(bf16, f32)};
