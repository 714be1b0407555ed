/* SPDX-License-Identifier: Apache-2.0 */
/* The formulas of attention in double, one number after the other, with the oracle's mask. */
#ifndef BITDROP_TESTS_ATTENTION_H
#define BITDROP_TESTS_ATTENTION_H

#include "bitdrop/bitdrop.h"

/* Numbers that were computed, and how far each may be from what the library has. */
struct attention_result {
    double *number, *error;
};

/*
 * Dense tensors [batch, heads, rows, elements]. The backward pass starts from out and lse, which
 * are those of the library's forward call.
 */
struct attention_tensors {
    const double *q, *k, *v, *dout, *out, *lse;
    const double *bias; /* [batch, heads, queries, keys]; NULL: none */
};

/*
 * unit: the relative error of one operation, with some room. Sizes and strides of `a` have no 0
 * that stands for a default.
 */
struct attention_case {
    const bitdrop_config *cfg;
    const bitdrop_attention *a;
    struct attention_tensors in;
    double unit;
    double factor; /* the relative error of a probability or gradient that is rounded before it is
                      multiplied */
};

void attention_forward(const struct attention_case *c, struct attention_result *out,
                       struct attention_result *lse);
void attention_backward(const struct attention_case *c, struct attention_result *dq,
                        struct attention_result *dk, struct attention_result *dv);

#endif
