/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention: the kernels of attention.h that depend on the type of the computation and not on the
 * dtype. Included once for each type, after an ISA's vec.h and vec_product.h, <math.h>, attention.h
 * and template/number.h, strip.h and work.h, with
 *
 *   COMPUTE  f32 or f64: the type of the computation
 *
 * which it undefines. It defines <compute>_product, _transpose, _forward_rows, _backward_rows,
 * _row_dots and _add_row.
 *
 * A strip is 32 scores, which have one word of keep bits. The last strip that a row sees may hold
 * scores that the row does not see. They count as -infinity. Rows are padded to whole strips.
 */
#if !defined(BITDROP_VEC_H) || !defined(BITDROP_ATTENTION_H) || !defined(BITDROP_TEMPLATE_NUMBER_H)
#error "include the vec.h of an ISA, attention.h and template/number.h first"
#endif
#if !defined(BITDROP_TEMPLATE_STRIP_H) || !defined(BITDROP_TEMPLATE_WORK_H)
#error "include template/strip.h and template/work.h first"
#endif
#ifndef COMPUTE
#error "define COMPUTE"
#endif

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define C(name) PASTE(COMPUTE, name)

#include "template/product.h"

enum {
    C(SCORE_VECTORS) = WORD_ELEMENTS / C(LANES), /* vectors in a strip */
    C(SCORE_BYTES) = WORD_ELEMENTS * sizeof(C(number))
};

/*
 * Keep bits of a strip of which n scores are seen. The others are 0. Without a mask all n are kept.
 */
static keep_bits C(score_bits)(const uint8_t *keep, size_t col, size_t n,
                               uint8_t buffer[WORD_ELEMENTS / 8])
{
    return keep == NULL ? first_lanes(n, buffer) : strip_bits(keep, col, n, buffer);
}

/*
 * scale * score + bias of the n scores of a strip that are seen, and -infinity after them. The
 * memory after them may never have been written, and a signalling NaN there must not raise an
 * exception. So +0 is selected there before anything is computed.
 */
FORCE_INLINE void C(scaled_strip)(const unsigned char *score, const unsigned char *bias,
                                  C(vec) scale, size_t n, C(vec) t[C(SCORE_VECTORS)])
{
    uint8_t buffer[WORD_ELEMENTS / 8];
    const keep_bits lanes = first_lanes(n, buffer);

    for (int v = 0; v < C(SCORE_VECTORS); v++) {
        const size_t at = (size_t)v * C(LANES);
        const C(mask) seen = C(keep)(lanes, v, 0);

        t[v] = C(load)(score + at * sizeof(C(number)));
        if (n < WORD_ELEMENTS)
            t[v] = C(only)(seen, t[v]);
        t[v] = C(mul)(scale, t[v]);
        if (bias != NULL && at < n)
            t[v] = C(add)(t[v], C(load_partial)(bias + at * sizeof(C(number)), n - at));
        if (n < WORD_ELEMENTS)
            t[v] = C(select)(seen, t[v], C(set1)(-INFINITY));
    }
}

/* The bias from column col on, or NULL. */
static const unsigned char *C(bias_at)(const unsigned char *bias, size_t col)
{
    return bias == NULL ? NULL : bias + col * sizeof(C(number));
}

/*
 * The greatest scaled score of a row. A NaN may be ignored or returned: the sum of a row with a NaN
 * is a NaN in both cases.
 */
static C(number) C(row_greatest)(const unsigned char *score, const unsigned char *bias,
                                 C(vec) scale, size_t seen)
{
    C(vec) maxima[C(SCORE_VECTORS)], t[C(SCORE_VECTORS)];

    for (int v = 0; v < C(SCORE_VECTORS); v++)
        maxima[v] = C(set1)(-INFINITY);
    for (size_t col = 0; col < seen; col += WORD_ELEMENTS) {
        const unsigned char *at = score + col * sizeof(C(number));

        if (seen - col >= WORD_ELEMENTS && bias == NULL)
            C(scaled_strip)(at, NULL, scale, WORD_ELEMENTS, t);
        else
            C(scaled_strip)
        (at, C(bias_at)(bias, col), scale, smaller(seen - col, WORD_ELEMENTS), t);
        for (int v = 0; v < C(SCORE_VECTORS); v++)
            maxima[v] = C(max)(t[v], maxima[v]);
    }
    for (int v = 1; v < C(SCORE_VECTORS); v++)
        maxima[0] = C(max)(maxima[v], maxima[0]);
    return C(greatest)(maxima[0]);
}

/*
 * Replaces scores by exp(t - base) where kept and +0 elsewhere, where t is the scaled score.
 * Returns the sum of all exps, also of the dropped ones.
 */
static C(number) C(row_exps)(unsigned char *score, const unsigned char *bias, const uint8_t *keep,
                             C(vec) scale, C(number) base, size_t seen)
{
    const C(vec) subtracted = C(set1)(base), end = C(set1)(C(EXP_END));
    C(vec) sums[C(SCORE_VECTORS)], t[C(SCORE_VECTORS)];

    for (int v = 0; v < C(SCORE_VECTORS); v++)
        sums[v] = C(set1)(0);
    for (size_t col = 0; col < seen; col += WORD_ELEMENTS) {
        unsigned char *at = score + col * sizeof(C(number));
        const size_t n = smaller(seen - col, WORD_ELEMENTS);
        uint8_t buffer[WORD_ELEMENTS / 8];

        C(scaled_strip)(at, C(bias_at)(bias, col), scale, n, t);
        for (int v = 0; v < C(SCORE_VECTORS); v++)
            t[v] = C(exp)(C(max)(end, C(sub)(t[v], subtracted)));
        const keep_bits bits = C(score_bits)(keep, col, n, buffer);
        for (int v = 0; v < C(SCORE_VECTORS); v++) {
            sums[v] = C(add)(sums[v], t[v]);
            C(store)(at + (size_t)v * sizeof(C(vec)), C(only)(C(keep)(bits, v, 0), t[v]));
        }
    }
    for (int v = 1; v < C(SCORE_VECTORS); v++)
        sums[0] = C(add)(sums[0], sums[v]);
    return C(sum)(sums[0]);
}

/*
 * Replaces scores by NaN where kept and +0 elsewhere. A row with a NaN or +infinity has these
 * probabilities.
 */
static void C(row_of_nans)(unsigned char *score, const uint8_t *keep, size_t seen)
{
    for (size_t col = 0; col < seen; col += WORD_ELEMENTS) {
        uint8_t buffer[WORD_ELEMENTS / 8];
        const keep_bits bits = C(score_bits)(keep, col, smaller(seen - col, WORD_ELEMENTS), buffer);
        unsigned char *at = score + col * sizeof(C(number));

        for (int v = 0; v < C(SCORE_VECTORS); v++)
            C(store)(at + (size_t)v * sizeof(C(vec)), C(only)(C(keep)(bits, v, 0), C(set1)(NAN)));
    }
}

/* Writes +0 to all strips of the block that the row does not see. */
static void C(clear_unseen)(unsigned char *row, size_t seen, size_t cols)
{
    const size_t begin = (seen + WORD_ELEMENTS - 1) / WORD_ELEMENTS * C(SCORE_BYTES);
    const size_t end = (cols + WORD_ELEMENTS - 1) / WORD_ELEMENTS * C(SCORE_BYTES);

    memset(row + begin, 0, end - begin);
}

static C(number) C(log_of)(C(number) x)
{
    C(number) log[C(LANES)];

    C(store)(log, C(log)(C(set1)(x)));
    return log[0];
}

/*
 * A row of the forward pass. The exps are not divided by their sum: row_scale is what `narrow`
 * multiplies the row of out by instead.
 */
static void C(forward_row)(const struct bitdrop_score_block *b, size_t row)
{
    unsigned char *score = b->scores + row * b->stride;
    const unsigned char *bias = b->bias == NULL ? NULL : b->bias + row * b->bias_stride;
    const uint8_t *keep = b->keep == NULL ? NULL : b->keep + row * b->keep_stride;
    const size_t seen = b->seen[row];
    const C(vec) scale = C(set1)(b->x_scale);
    const C(number) greatest = C(row_greatest)(score, bias, scale, seen);
    const C(number) base = greatest == -(C(number))INFINITY ? 0 : greatest;
    const C(number) sum = C(row_exps)(score, bias, keep, scale, base, seen);
    C(number) row_scale = 0, lse = -(C(number))INFINITY;

    if (sum > 0) {
        row_scale = (C(number))b->y_scale / sum;
        lse = greatest + C(log_of)(sum);
    } else if (sum != 0) { /* it is a NaN */
        C(row_of_nans)(score, keep, seen);
        row_scale = 1;
        lse = sum;
    }
    C(clear_unseen)(score, seen, b->cols);
    memcpy(b->row_scales + row * sizeof row_scale, &row_scale, sizeof row_scale);
    if (b->lse != NULL)
        memcpy(b->lse + row * sizeof lse, &lse, sizeof lse);
}

static void C(forward_rows)(const struct bitdrop_score_block *b)
{
    for (size_t row = 0; row < b->rows; row++)
        C(forward_row)(b, row);
}

/*
 * A row of the backward pass. Replaces scores by D(probability), and the gradients of
 * D(probability) by those of the unscaled scores, q k^T. D(v) is v * y_scale where kept and +0
 * elsewhere.
 */
static void C(backward_row)(const struct bitdrop_score_block *b, size_t row)
{
    unsigned char *score = b->scores + row * b->stride, *grad = b->grads + row * b->stride;
    const unsigned char *bias = b->bias == NULL ? NULL : b->bias + row * b->bias_stride;
    const uint8_t *keep = b->keep == NULL ? NULL : b->keep + row * b->keep_stride;
    const C(vec) scale = C(set1)(b->x_scale), y_scale = C(set1)(b->y_scale);
    const C(vec) end = C(set1)(C(EXP_END));
    size_t seen = b->seen[row];
    C(number) lse, dot;

    memcpy(&lse, b->lse + row * sizeof lse, sizeof lse);
    memcpy(&dot, b->dots + row * sizeof dot, sizeof dot);
    if (lse == -(C(number))INFINITY)
        seen = 0;
    const C(vec) subtracted = C(set1)(lse), dots = C(set1)(dot);
    for (size_t col = 0; col < seen; col += WORD_ELEMENTS) {
        const size_t at = col * sizeof(C(number)), n = smaller(seen - col, WORD_ELEMENTS);
        uint8_t buffer[2][WORD_ELEMENTS / 8];
        C(vec) t[C(SCORE_VECTORS)];

        C(scaled_strip)(score + at, C(bias_at)(bias, col), scale, n, t);
        for (int v = 0; v < C(SCORE_VECTORS); v++)
            t[v] = C(exp)(C(max)(end, C(sub)(t[v], subtracted)));
        const keep_bits bits = C(score_bits)(keep, col, n, buffer[0]);
        const keep_bits lanes = first_lanes(n, buffer[1]);
        for (int v = 0; v < C(SCORE_VECTORS); v++) {
            const size_t in_strip = (size_t)v * sizeof(C(vec));
            const C(mask) kept = C(keep)(bits, v, 0);
            const C(mask) seen_lanes = C(keep)(lanes, v, 0);
            const C(vec) loaded = C(load)(grad + at + in_strip);
            const C(vec) g =
                C(mul)(n < WORD_ELEMENTS ? C(only)(seen_lanes, loaded) : loaded, y_scale);
            const C(vec) kept_g = C(only)(kept, g);
            const C(vec) score_grad = C(mul)(C(mul)(scale, t[v]), C(sub)(kept_g, dots));

            C(store)(score + at + in_strip, C(only)(kept, C(mul)(t[v], y_scale)));
            C(store)(grad + at + in_strip, C(only)(seen_lanes, score_grad));
        }
    }
    C(clear_unseen)(score, seen, b->cols);
    C(clear_unseen)(grad, seen, b->cols);
}

static void C(backward_rows)(const struct bitdrop_score_block *b)
{
    for (size_t row = 0; row < b->rows; row++)
        C(backward_row)(b, row);
}

/* The dot products of rows of x and y, which are padded with +0 to whole vectors. */
static inline void C(row_dots)(unsigned char *to, const unsigned char *x, const unsigned char *y,
                               size_t stride, size_t rows, size_t n)
{
    for (size_t row = 0; row < rows; row++, x += stride, y += stride) {
        C(vec) sum = C(set1)(0);

        for (size_t col = 0; col < n; col += C(LANES))
            sum = C(mul_add)(C(load)(x + col * sizeof(C(number))),
                             C(load)(y + col * sizeof(C(number))), sum);
        const C(number) dot = C(sum)(sum);
        memcpy(to + row * sizeof dot, &dot, sizeof dot);
    }
}

static void C(add_row)(unsigned char *to, const unsigned char *from, size_t n)
{
    for (size_t i = 0; i < n; i += C(LANES)) {
        const size_t at = i * sizeof(C(number));

        C(store)(to + at, C(add)(C(load)(to + at), C(load)(from + at)));
    }
}

/*
 * Transposes a square of LANES rows, in log2(LANES) steps. A step shifts the row number and the
 * column number of each element to the left by one bit. The bit that leaves one number becomes the
 * lowest bit of the other.
 */
static void C(transpose_square)(C(vec) row[C(LANES)])
{
    for (int step = 1; step < C(LANES); step *= 2) {
        C(vec) next[C(LANES)];

#pragma GCC unroll 16
        for (int i = 0; i < C(LANES) / 2; i++)
            C(zip)(row[i], row[i + C(LANES) / 2], &next[2 * i], &next[2 * i + 1]);
#pragma GCC unroll 16
        for (int i = 0; i < C(LANES); i++)
            row[i] = next[i];
    }
}

/* Transposes rows into a panel (attention.h), square by square. */
static void C(transpose)(unsigned char *panel, const unsigned char *from, size_t stride,
                         size_t rows, size_t n)
{
    const size_t panel_row = PRODUCT_VECTORS * sizeof(C(vec));

    for (size_t first = 0; first < rows; first += C(LANES), panel += sizeof(C(vec)))
        for (size_t col = 0; col < n; col += C(LANES)) {
            const size_t in_square = n - col < C(LANES) ? n - col : C(LANES);
            C(vec) square[C(LANES)];

            for (size_t i = 0; i < C(LANES); i++)
                square[i] = first + i < rows
                                ? C(load)(from + (first + i) * stride + col * sizeof(C(number)))
                                : C(set1)(0);
            C(transpose_square)(square);
            for (size_t i = 0; i < in_square; i++)
                C(store)(panel + (col + i) * panel_row, square[i]);
        }
}

#undef PASTE_
#undef PASTE
#undef C
#undef COMPUTE
