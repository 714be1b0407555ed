/* SPDX-License-Identifier: Apache-2.0 */
/* A call of attention, shared by the files of the target `attention`. */
#ifndef BITDROP_FUZZ_ATTENTION_CALL_H
#define BITDROP_FUZZ_ATTENTION_CALL_H

#include "fuzz.h"

enum { SCRATCH, Q, K, V, BIAS, DOUT, OUT, DQ, DK, DV, LSE, MASK, BUFFERS };
enum { MOST_SCORES = 80000 };

struct attention {
    bitdrop_config cfg;
    bitdrop_attention a, filled; /* filled: with each 0 replaced by the default it stands for */
    bitdrop_dtype dtype;
    bool backward, no_cfg, no_a, every_isa;
    bool no_bounds; /* the error bounds of the reference need not hold */
    struct fuzz_parallel parallel;
    struct fuzz_buffer b[BUFFERS];
    size_t size;
};

static inline bool has_elements(const struct attention *t)
{
    return t->a.batch > 0 && t->a.heads > 0 && t->a.queries > 0 && t->a.keys > 0 && t->a.dim > 0;
}

static inline bool stores_mask(const struct attention *t)
{
    return t->cfg.mask_use != BITDROP_MASK_REMADE;
}

/* Chooses a call, which is legal in most cases, and the places of its buffers. */
void attention_choose(struct fuzz_input *in, struct attention *t);

/* As operation_status(). Also sets the size of the scratch memory, which depends on the config. */
int attention_status(struct attention *t);

#endif
