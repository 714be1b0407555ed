/* SPDX-License-Identifier: Apache-2.0 */
/* A checked call of attention as a job, and the functions that run it. */
#ifndef BITDROP_ATTENTION_JOB_H
#define BITDROP_ATTENTION_JOB_H

#include "attention.h"

enum { SCRATCH_ALIGNMENT = 64 }; /* bytes */

static inline size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* A tensor that has a matrix for each head of each sample. */
struct bitdrop_heads {
    unsigned char *at;
    size_t strides[3]; /* bytes from sample to sample, head to head, row to row */
};

/* Arguments of a call: all sizes > 0, all strides filled in. */
struct bitdrop_attention_job {
    const struct bitdrop_attention_kernels *kernels;
    bitdrop_mask_rows_kernel *mask_rows;
    size_t size; /* bytes of an element */

    size_t batch, heads, group; /* group: heads of q that share a head of k and v */
    size_t queries, keys, dim, v_dim;
    bool causal;
    int64_t causal_first;
    double x_scale, y_scale; /* of the scores, and of D */

    struct bitdrop_heads q, k, v, out, bias; /* bias.at NULL: none */
    struct bitdrop_heads dout, dq, dk, dv;   /* backward */
    unsigned char *lse;                      /* NULL: not wanted */

    uint64_t offset; /* index of the first probability of this call */
    /* How far apart indices are from head to head, sample to sample, query to query. */
    uint64_t index_head, index_sample, pitch;
    const struct bitdrop_stream *stream; /* makes the bits; NULL: mask has them, or all are kept */
    uint8_t *mask;      /* written if the bits are made, else read; NULL: not in memory */
    size_t mask_stride; /* bytes */

    unsigned char *scratch;
    /* If chunks are units, the gradients of q of each chunk, after the scratch of all tasks. */
    unsigned char *chunk_grads;
    const bitdrop_parallel *parallel;
    size_t tasks;
};

/* The most units of work that tasks can share. */
size_t bitdrop_attention_forward_units(const struct bitdrop_attention_job *job);
size_t bitdrop_attention_backward_units(const struct bitdrop_attention_job *job);

/* Bytes of scratch memory for all tasks; 0: more than fits in a size_t. */
size_t bitdrop_attention_forward_scratch(const struct bitdrop_attention_job *job);
size_t bitdrop_attention_backward_scratch(const struct bitdrop_attention_job *job);

void bitdrop_attention_run_forward(struct bitdrop_attention_job *job);
void bitdrop_attention_run_backward(struct bitdrop_attention_job *job);

#endif
