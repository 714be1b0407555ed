/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include "kernels.h"

bitdrop_status call_run(const struct call *c)
{
    const bitdrop_config *cfg = c->cfg;
    const bitdrop_dtype t = c->dtype;

    switch (c->op) {
    case MASK:
        return c->flat ? bitdrop_mask(cfg, c->n, c->mask) : bitdrop_mask_2d(cfg, c->shape, c->mask);
    case FORWARD:
        return c->flat ? bitdrop_forward(cfg, t, c->n, c->x, c->y, c->mask)
                       : bitdrop_forward_2d(cfg, t, c->shape, c->x, c->y, c->mask);
    case BACKWARD:
        return c->flat ? bitdrop_backward(cfg, t, c->n, c->x, c->y, c->mask)
                       : bitdrop_backward_2d(cfg, t, c->shape, c->x, c->y, c->mask);
    case RECOMPUTE:
        return c->flat ? bitdrop_recompute(cfg, t, c->n, c->x, c->y)
                       : bitdrop_recompute_2d(cfg, t, c->shape, c->x, c->y);
    default:
        return c->flat ? bitdrop_infer(cfg, t, c->n, c->x, c->y)
                       : bitdrop_infer_2d(cfg, t, c->shape, c->x, c->y);
    }
}

const char *operation_name(enum operation op)
{
    static const char *const names[] = {"mask", "forward", "backward", "recompute", "infer"};

    return names[op];
}

const char *dtype_name(bitdrop_dtype t)
{
#define DTYPE_NAME(name, bytes) #name,
    static const char *const names[] = {BITDROP_DTYPES(DTYPE_NAME)};

    return names[t];
}
