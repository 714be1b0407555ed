/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention with dropout, forward and backward, in two ways. Blocked is one call each, which keeps
 * none of the probabilities. Unfused is a call for each step of the formula.
 */
#ifndef ATTENTION_H
#define ATTENTION_H

#include <bitdrop/bitdrop.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * q, k and v are the thirds of the rows of one matrix with a row for each token, as one product
 * makes all three. The heads lie one after the other in each third, and in the rows of out.
 */
struct attention {
    size_t batch, heads, tokens, dim; /* dim: of a head */
    bool causal;
    double p;
};

static inline size_t width_of(const struct attention *a) { return a->heads * a->dim; }

/* Both ways take this one, so that they drop the same probabilities. */
static inline bitdrop_config config_of(const struct attention *a)
{
    return (bitdrop_config){.p = a->p, .seed = 42};
}

/* qkv, out, and their gradients; of f32 or f64. */
struct tensors {
    void *qkv, *out, *dout, *dqkv;
};

struct blocked {
    bitdrop_dtype dtype;
    size_t size; /* of an element */
    bitdrop_config cfg;
    bitdrop_attention shape;
    void *lse;     /* kept for backward */
    void *scratch; /* nothing is kept in it */
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

/* Computes in f32. A matrix has tokens x tokens elements, and each sample and head has one. */
struct unfused {
    const struct attention *a;
    enum mask_format format;
    float *prob;             /* all matrices, kept for backward */
    void *mask;              /* of all matrices, kept; BITS are in rows of whole bytes */
    float *scores, *dropped; /* a matrix each */
    uint8_t *bits, *bytes;   /* of a matrix, from which masks of BYTES and FLOATS are made */
    size_t kept_bytes;
};

void unfused_init(struct unfused *u, const struct attention *a, enum mask_format format);
void unfused_free(struct unfused *u);
void unfused_forward(const struct unfused *u, const struct tensors *t);
void unfused_backward(const struct unfused *u, const struct tensors *t);

#endif
