/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All kernels of an ISA and their table. The includer has included its vec.h, and defines
 *
 *   TABLE  the table's name: bitdrop_kernels_<isa>
 *   ISA    its bitdrop_isa
 */
#include "template/tile.h"

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

/* The mask is stored where it is made: nothing is left to do. */
FORCE_INLINE void no_more(const struct piece *piece, struct work *work)
{
    (void)piece;
    (void)work;
}

static void kernel_mask(const struct bitdrop_job *job)
{
    struct tile tile;

    for_generated_pieces(&tile, no_more, no_step, &(struct work){.job = job});
}

#define FORWARD(t, bytes) t##_kernel_forward,
#define BACKWARD(t, bytes) t##_kernel_backward,

const struct bitdrop_kernels TABLE = {
    .isa = ISA,
    .mask = kernel_mask,
    .forward = {BITDROP_DTYPES(FORWARD)},
    .backward = {BITDROP_DTYPES(BACKWARD)},
};
