/* SPDX-License-Identifier: Apache-2.0 */
/* Computes attention in double, one number after the other, with the oracle's mask. */
#ifndef BITDROP_TESTS_ATTENTION_H
#define BITDROP_TESTS_ATTENTION_H

#include "bitdrop/bitdrop.h"

/* The computed numbers, and how far the library's result may be from each. */
struct attention_result {
    double *number, *error;
};

/*
 * Dense tensors [batch, heads, rows, elements]. out and lse are results of the library's forward
 * call, and inputs of the backward pass.
 */
struct attention_tensors {
    const double *q, *k, *v, *dout, *out, *lse;
    const double *bias; /* [batch, heads, queries, keys]; NULL: none */
};

/* Sizes and strides of `a` must be given: a 0 does not stand for a default here. */
struct attention_case {
    const bitdrop_config *cfg;
    const bitdrop_attention *a;
    struct attention_tensors in;
    double unit;     /* the relative error of one operation, somewhat enlarged */
    double rounding; /* the relative error of a probability or gradient that the library rounds
                        before it multiplies it */
};

void attention_forward(const struct attention_case *c, struct attention_result *out,
                       struct attention_result *lse);
void attention_backward(const struct attention_case *c, struct attention_result *dq,
                        struct attention_result *dk, struct attention_result *dv);

#endif
