/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of an ISA that attention calls: products of matrices in scratch memory, and passes
 * over rows of scores. attention_forward.c and attention_backward.c call them for each block.
 */
#ifndef BITDROP_ATTENTION_H
#define BITDROP_ATTENTION_H

#include "kernels.h"

/*
 * c = a * b, or c += a * b. Each sum begins with +0, runs over the depth from the first step to the
 * last, and is then stored in c or added to it. Strides are in bytes.
 *
 * The matrices a and b consist of factors. A factor is what one step multiplies in a lane: a number
 * or, with AVX512_BF16, a pair of bf16 elements. The elements of a pair are successive along the
 * depth, so they lie in one row of a, or in one column of b.
 */
struct bitdrop_product {
    size_t rows, cols, depth; /* rows and columns of c; factors of a row of a. All > 0 */
    const unsigned char *a;
    size_t a_row, a_depth;   /* strides: to the next row of a, to its next factor */
    const unsigned char *b;  /* in panels of panel_cols columns */
    size_t b_depth, b_panel; /* strides: to the next factor of a column, to the next panel */
    unsigned char *c;        /* whole vectors of a row are written */
    size_t c_row;            /* stride */
    bool add;                /* c += a * b */
};

/*
 * A block of scores, the input and output of forward_rows and backward_rows. Numbers are of the
 * compute type.
 *
 * forward_rows replaces `scores` by exp(score - greatest) where kept, else +0. The next product
 * reads them by rows.
 *
 * backward_rows replaces `scores` by D of the probabilities, and writes the gradient of q k^T to
 * `grads` and `grad_rows`. The next products read `scores` and `grads` by columns (for dv and dk),
 * and `grad_rows` by rows (for dq). Where a factor is a number, grads and grad_rows are the same
 * memory. Where it is a pair, they are two buffers, and in `scores` and `grads` one row of pairs
 * replaces row 2 r: the pairs of rows 2 r and 2 r + 1.
 */
struct bitdrop_score_block {
    size_t rows, cols;
    const size_t *seen;       /* of each row, how many of the first columns it sees */
    unsigned char *scores;    /* q k^T */
    unsigned char *grads;     /* backward: dout v^T */
    size_t stride;            /* bytes, of scores and grads; rows are padded to strips of 32 */
    unsigned char *grad_rows; /* backward */
    size_t grad_stride;
    const unsigned char *bias; /* NULL: none */
    size_t bias_stride;        /* bytes; 0: the same for all rows */
    const uint8_t *keep;       /* NULL: all are kept */
    size_t keep_stride;        /* bytes */
    double x_scale, y_scale;   /* of the scores, and of D */
    unsigned char *row_scales; /* forward writes the scale of each row, for `narrow` */
    unsigned char *lse; /* of each row: forward writes it (NULL: not wanted), backward reads */
    const unsigned char *dots; /* backward: sum of dout * out of each row */
};

/* Rows to be copied, and converted. */
struct bitdrop_copied_rows {
    unsigned char *to;
    size_t to_stride; /* bytes */
    const unsigned char *from;
    size_t stride;                   /* bytes, of from */
    size_t rows, n;                  /* n: elements of a row */
    const unsigned char *row_scales; /* narrow: the scale of each row, a number; NULL: 1 */
};

/*
 * An element is of the dtype, a number is of the compute type, and a factor is what a step of
 * `product` multiplies: a number, or a pair of elements.
 */
struct bitdrop_attention_kernels {
    size_t number;     /* bytes of a number, and of a factor */
    size_t elements;   /* of a factor: 1 or 2 */
    size_t lanes;      /* numbers of a vector */
    size_t panel_cols; /* factors of a row of a panel */

    /* Convert elements to numbers, or to factors. Write +0 after each row up to a whole vector. */
    void (*widen)(const struct bitdrop_copied_rows *c);
    void (*factors)(const struct bitdrop_copied_rows *c);
    /* Converts elements to half as many rows: row r has the pairs of rows 2 r and 2 r + 1. NULL if
     * a factor is a number: then products read the rows that `factors` wrote. */
    void (*pair)(const struct bitdrop_copied_rows *c);
    /* Multiplies numbers by the scale of their row, and rounds them to elements. */
    void (*narrow)(const struct bitdrop_copied_rows *c);
    /* Transposes `rows` rows of n factors to one panel of n rows of panel_cols factors. */
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

/* The tables of the ISAs that are compiled: for each dtype an element. */
extern const struct bitdrop_attention_kernels bitdrop_attention_scalar[BITDROP_DTYPE_COUNT];
extern const struct bitdrop_attention_kernels bitdrop_attention_avx2[BITDROP_DTYPE_COUNT];
extern const struct bitdrop_attention_kernels bitdrop_attention_avx512[BITDROP_DTYPE_COUNT];
extern const struct bitdrop_attention_kernels bitdrop_attention_neon[BITDROP_DTYPE_COUNT];

/* For bf16, by products of pairs. These round probabilities to bf16 before they multiply them. */
extern const struct bitdrop_attention_kernels bitdrop_attention_pairs_avx512;

#endif
