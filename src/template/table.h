/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All kernels of an ISA and their table. Included once, after the ISA's vec.h, with
 *
 *   TABLE      name of the struct bitdrop_kernels that it defines: bitdrop_kernels_<isa>
 *   ISA        its bitdrop_isa
 *   ATTENTION  its table of attention, bitdrop_attention_<isa>, which another file defines
 */
#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif
#if !defined(TABLE) || !defined(ISA) || !defined(ATTENTION)
#error "define TABLE, ISA and ATTENTION"
#endif

#include "attention.h"

#include "isas.h"
#include "template/job.h"
#include "template/mask_rows.h"
#include "template/noise.h"

#define DTYPE f32
#define COMPUTE f32
#define BYTES 4
#include "template/apply.h"

#define DTYPE f64
#define COMPUTE f64
#define BYTES 8
#include "template/apply.h"

#define DTYPE f16
#define COMPUTE f32
#define BYTES 2
#include "template/apply.h"

#define DTYPE bf16
#define COMPUTE f32
#define BYTES 2
#include "template/apply.h"

#define ROW(t, bytes) t##_kernels,

const struct bitdrop_kernels TABLE = {
    .isa = ISA,
    .mask = kernel_mask,
    .mask_rows = kernel_mask_rows,
    .bodies = {BITDROP_DTYPES(ROW)},
    .attention = ATTENTION,
};
