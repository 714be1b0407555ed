/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention in bf16 by products of pairs: the kernels of attention.h for CPUs that multiply two
 * elements of bf16 in each lane. So a factor is two elements. Scores and sums are f32.
 *
 * Included after the vec.h of an ISA and a vec_product.h that defines pair_vec and the other names
 * of pairs (docs/design.md), with
 *
 *   ATTENTION_PAIRS  name of the struct bitdrop_attention_kernels that it defines
 */
#ifndef BITDROP_VEC_H
#error "include the vec.h of an ISA first"
#endif
#ifndef ATTENTION_PAIRS
#error "define ATTENTION_PAIRS"
#endif

#include <math.h>

#include "attention.h"
#include "template/number.h"
#include "template/strip.h"
#include "template/work.h"

#define COMPUTE f32
#include "template/attention_kernels.h"

#define DTYPE bf16
#define LOAD_NUMBERS bf16_load_f32
#define STORE_NUMBERS bf16_store_f32
#define COMPUTE f32
#define BYTES 2
#include "template/attention_convert.h"

#define C(name) pair_##name
#include "template/product.h"
#undef C

enum { PAIR_BYTES = 4 /* as many as an f32 has */ };

/* Copies rows of elements, and pads each row with +0 to a whole vector. */
static void pair_factors(const struct bitdrop_copied_rows *c)
{
    const size_t bytes = 2 * c->n, vector = sizeof(f32_vec);

    for (size_t r = 0; r < c->rows; r++) {
        unsigned char *to = c->to + r * c->to_stride;

        memcpy(to, c->from + r * c->stride, bytes);
        memset(to + bytes, 0, (bytes + vector - 1) / vector * vector - bytes);
    }
}

/* Makes row r of the pairs from rows 2 r and 2 r + 1. A last row alone is paired with +0. */
static void pair_rows(const struct bitdrop_copied_rows *c)
{
    unsigned char *to = c->to;

    for (size_t r = 0; r < c->rows; r += 2, to += c->to_stride) {
        const unsigned char *first = c->from + r * c->stride;
        const bool has_second = r + 1 < c->rows;

        for (size_t i = 0; i < c->n; i += f32_LANES) {
            const f32_vec a = pair_load_half(first + 2 * i, c->n - i);
            const f32_vec b =
                has_second ? pair_load_half(first + c->stride + 2 * i, c->n - i) : f32_set1(0);

            f32_store(to + PAIR_BYTES * i, pair_of(a, b));
        }
    }
}

/* Rounds a row of f32 to half as many factors. `to` may be the same address as `from`. */
static void pair_pack_row(unsigned char *to, const unsigned char *from, size_t cols)
{
    for (size_t col = 0; col < cols; col += 2 * f32_LANES) {
        const unsigned char *at = from + PAIR_BYTES * col;

        f32_store(to + 2 * col, pair_pack(f32_load(at), f32_load(at + sizeof(f32_vec))));
    }
}

/* Calls the pass of f32, and rounds its results to factors. */
static void pair_forward_rows(const struct bitdrop_score_block *b)
{
    f32_forward_rows(b);
    for (size_t r = 0; r < b->rows; r++) {
        unsigned char *row = b->scores + r * b->stride;

        pair_pack_row(row, row, b->cols);
    }
}

/*
 * Replaces the first of two rows of f32 by a row of pairs of both. If second is NULL, it counts as
 * +0.
 */
static void pair_up(unsigned char *first, const unsigned char *second, size_t cols)
{
    for (size_t at = 0; at < PAIR_BYTES * cols; at += sizeof(f32_vec))
        f32_store(first + at, pair_of(f32_load(first + at),
                                      second == NULL ? f32_set1(0) : f32_load(second + at)));
}

/* Likewise. grad_rows gets pairs of columns of grads. scores and grads become pairs of rows. */
static void pair_backward_rows(const struct bitdrop_score_block *b)
{
    f32_backward_rows(b);
    for (size_t r = 0; r < b->rows; r++)
        pair_pack_row(b->grad_rows + r * b->grad_stride, b->grads + r * b->stride, b->cols);
    for (size_t r = 0; r < b->rows; r += 2) {
        const bool has_second = r + 1 < b->rows;
        const size_t at = r * b->stride, next = at + b->stride;

        pair_up(b->scores + at, has_second ? b->scores + next : NULL, b->cols);
        pair_up(b->grads + at, has_second ? b->grads + next : NULL, b->cols);
    }
}

/* The dot products of rows of x and y, which are padded with +0 to whole vectors. */
static void pair_dots(unsigned char *to, const unsigned char *x, const unsigned char *y,
                      size_t stride, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, x += stride, y += stride) {
        f32_vec sum = f32_set1(0);

        for (size_t at = 0; at < PAIR_BYTES * n; at += sizeof(f32_vec))
            sum = pair_mul_add(f32_load(x + at), f32_load(y + at), sum);
        const float dot = f32_sum(sum);
        memcpy(to + r * sizeof dot, &dot, sizeof dot);
    }
}

const struct bitdrop_attention_kernels ATTENTION_PAIRS = {
    .number = sizeof(f32_number),
    .elements = 2,
    .lanes = f32_LANES,
    .panel_cols = PRODUCT_VECTORS * f32_LANES,
    .widen = bf16_widen_rows,
    .factors = pair_factors,
    .pair = pair_rows,
    .narrow = bf16_narrow_rows,
    .transpose = f32_transpose,
    .product = pair_product,
    .forward_rows = pair_forward_rows,
    .backward_rows = pair_backward_rows,
    .dots = pair_dots,
    .add = f32_add_row,
};
