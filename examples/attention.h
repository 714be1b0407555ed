/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention with dropout, forward and backward, in two ways. `blocked` makes one call for forward
 * and one for backward, and keeps no probabilities. `unfused` makes a call for each step of the
 * formula.
 */
#ifndef ATTENTION_H
#define ATTENTION_H

#include <bitdrop/bitdrop.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * q, k and v are in one matrix, which one product can compute. It has a row for each token, and
 * each third of a row belongs to one of them. The heads are one after the other in each third, and
 * in the rows of out.
 */
struct attention {
    size_t batch, heads, tokens, dim; /* dim: columns of a head */
    bool causal;
    double p;
};

static inline size_t width_of(const struct attention *a) { return a->heads * a->dim; }

/* Both ways use this, so that they drop the same probabilities. */
static inline bitdrop_config config_of(const struct attention *a)
{
    return (bitdrop_config){.p = a->p, .seed = 42};
}

/* qkv, out, and their gradients, in f32 or f64. */
struct tensors {
    void *qkv, *out, *dout, *dqkv;
};

struct blocked {
    bitdrop_dtype dtype;
    size_t size; /* of an element */
    bitdrop_config cfg;
    bitdrop_attention shape;
    void *lse;     /* kept for backward */
    void *scratch; /* keeps nothing between calls */
    size_t kept_bytes;
};

/* The dtype is BITDROP_F32 or BITDROP_F64. */
void blocked_init(struct blocked *b, const struct attention *a, bitdrop_dtype dtype);
void blocked_free(struct blocked *b);
void blocked_forward(const struct blocked *b, const struct tensors *t);
void blocked_backward(const struct blocked *b, const struct tensors *t);

enum mask_format {
    FLOATS, /* 0 or 1/(1-p) */
    BYTES,  /* 0 or 1 */
    BITS,
    MASK_FORMATS
};

/* Computes in f32. Each head of each sample has a matrix of tokens x tokens probabilities. */
struct unfused {
    const struct attention *a;
    enum mask_format format;
    float *prob;             /* all matrices, kept for backward */
    void *mask;              /* of all matrices, kept too; in BITS each row begins at a byte */
    float *scores, *dropped; /* one matrix each */
    uint8_t *bits, *bytes;   /* mask of one matrix, to make masks of BYTES and FLOATS from */
    size_t kept_bytes;
};

void unfused_init(struct unfused *u, const struct attention *a, enum mask_format format);
void unfused_free(struct unfused *u);
void unfused_forward(const struct unfused *u, const struct tensors *t);
void unfused_backward(const struct unfused *u, const struct tensors *t);

#endif
