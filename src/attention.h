/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What attention calls of an ISA: products of matrices in scratch memory, and passes over rows of
 * scores. attention_forward.c and attention_backward.c go through the blocks.
 */
#ifndef BITDROP_ATTENTION_H
#define BITDROP_ATTENTION_H

#include "kernels.h"

/*
 * c = a * b, or c += a * b, each product summed from the first step of the depth to the last and
 * then added. Strides are in bytes. A factor is what one step multiplies: a number or, with
 * AVX512_BF16, a pair of bf16 elements. The two are successive along the depth: in a row of a, in a
 * column of b.
 */
struct bitdrop_product {
    size_t rows, cols, depth; /* of c, and factors of a row of a; all > 0 */
    const unsigned char *a;
    size_t a_row, a_depth;
    const unsigned char *b; /* in panels of panel_cols columns */
    size_t b_depth, b_panel;
    unsigned char *c; /* whole vectors of a row are written */
    size_t c_row;
    bool add;
};

/*
 * A block of scores, and what becomes of it. Numbers are of the type that is computed in. The
 * forward pass leaves exp(score - greatest) where kept, +0 elsewhere, in `scores`, to be read by
 * rows. The backward pass leaves D of the probabilities in `scores`, and the gradient of q k^T in
 * `grads` and `grad_rows`. `scores` and `grads` are read by columns (for dv and dk), `grad_rows` by
 * rows (for dq). Where a factor is a number, grads and grad_rows are the same memory. Where it is a
 * pair, they are not, and rows 2 r and 2 r + 1 become one row of pairs in the place of row 2 r.
 */
struct bitdrop_score_block {
    size_t rows, cols;
    const size_t *seen;       /* of each row, the first so many columns */
    unsigned char *scores;    /* q k^T */
    unsigned char *grads;     /* backward: dout v^T */
    size_t stride;            /* bytes, of these; rows are padded to strips of 32 */
    unsigned char *grad_rows; /* backward */
    size_t grad_stride;
    const unsigned char *bias; /* NULL: none */
    size_t bias_stride;        /* bytes; 0: the same for all rows */
    const uint8_t *keep;       /* NULL: all are kept */
    size_t keep_stride;        /* bytes */
    double x_scale, y_scale;   /* of the scores, and of D */
    unsigned char *row_scale;  /* forward: each row of out is to be multiplied by this */
    unsigned char *lse;        /* of each row: written by forward, read by backward */
    const unsigned char *dots; /* backward: sum of dout * out of each row */
};

struct bitdrop_copied_rows {
    unsigned char *to;
    size_t to_stride; /* bytes */
    const unsigned char *from;
    size_t stride;                  /* bytes */
    size_t rows, n;                 /* elements of a row */
    const unsigned char *row_scale; /* narrow: a number for each row; NULL: 1 */
};

struct bitdrop_attention_kernels {
    size_t number;   /* bytes of a number, and of a factor */
    size_t elements; /* of a factor: 1 or 2 */
    size_t lanes;    /* numbers of a vector */
    size_t panel_cols;

    /* Elements to numbers or factors, and +0 behind each row up to a whole vector. */
    void (*widen)(const struct bitdrop_copied_rows *c);
    void (*factors)(const struct bitdrop_copied_rows *c);
    /* Elements to half as many rows: row r has the pairs of rows 2 r and 2 r + 1. NULL where a
     * factor is a number: then the rows of `factors` are multiplied. */
    void (*pair)(const struct bitdrop_copied_rows *c);
    /* Numbers, multiplied, to elements. */
    void (*narrow)(const struct bitdrop_copied_rows *c);
    /* Turns `rows` rows of n factors into one panel, of which a row has panel_cols factors. */
    void (*transpose)(unsigned char *panel, const unsigned char *from, size_t stride, size_t rows,
                      size_t n);
    void (*product)(const struct bitdrop_product *p);
    void (*forward_rows)(const struct bitdrop_score_block *b);
    void (*backward_rows)(const struct bitdrop_score_block *b);
    /* The dot products of rows of n factors. */
    void (*dots)(unsigned char *to, const unsigned char *x, const unsigned char *y, size_t stride,
                 size_t rows, size_t n);
    /* to += from, n numbers. */
    void (*add)(unsigned char *to, const unsigned char *from, size_t n);
};

/* Of each ISA that is compiled, a table for each dtype. */
extern const struct bitdrop_attention_kernels bitdrop_attention_scalar[BITDROP_DTYPE_COUNT];
extern const struct bitdrop_attention_kernels bitdrop_attention_avx2[BITDROP_DTYPE_COUNT];
extern const struct bitdrop_attention_kernels bitdrop_attention_avx512[BITDROP_DTYPE_COUNT];
extern const struct bitdrop_attention_kernels bitdrop_attention_neon[BITDROP_DTYPE_COUNT];

/* Of bf16 by products of pairs, which rounds probabilities to bf16 before it multiplies them. */
extern const struct bitdrop_attention_kernels bitdrop_attention_pairs_avx512;

#endif
