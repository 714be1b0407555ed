/* SPDX-License-Identifier: Apache-2.0 */
/* A call of attention while it is fuzzed: what the files of this target share. */
#ifndef BITDROP_FUZZ_ATTENTION_CALL_H
#define BITDROP_FUZZ_ATTENTION_CALL_H

#include "fuzz.h"

enum { SCRATCH, Q, K, V, BIAS, DOUT, OUT, DQ, DK, DV, LSE, MASK, BUFFERS };
enum { MOST_SCORES = 80000 };

struct attention {
    bitdrop_config cfg;
    bitdrop_attention a, filled; /* filled: without the zeros that stand for something */
    bitdrop_dtype dtype;
    bool backward, no_cfg, no_a, every_isa;
    bool no_bounds; /* too wild for the reference */
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

/* A call, mostly a good one, and where its buffers lie. */
void attention_choose(struct fuzz_input *in, struct attention *t);

/* As operation_status(). The size of the scratch memory follows the config. */
int attention_status(struct attention *t);

#endif
