/* SPDX-License-Identifier: Apache-2.0 */
/*
 * D(softmax(scale * x + bias)) of each row; in = {x, bias, prob}, of which prob is written. p[0] is
 * the scale of D, p[1] that of x.
 *
 * A row is computed in parts that fit into the buffer: a short row is one part, and a longer one
 * computes t and exp anew in each pass, which gives the same numbers. If two rows fit, the last
 * pass of one comes between the first two of the next. So the greatest and the sum of a row are
 * ready when they are needed, and each row is read and written between the exps of two rows.
 *
 * t of a strip lies in the buffer as the vectors that it is computed in. Lanes that are no elements
 * are -infinity, of which exp is +0.
 */
#ifndef BITDROP_PARAMETERS

#include "template/softmax.h"

enum {
    T(STRIP_VECTORS) = WORD_ELEMENTS / C(LANES), /* to compute with */
    T(ROW_VECTORS) = SOFTMAX_BUFFER_BYTES / sizeof(C(vec)),
    T(PART) = T(ROW_VECTORS) * C(LANES) /* elements */
};

/* Of a short row. */
FORCE_INLINE size_t T(vectors_of)(size_t cols)
{
    return (cols + WORD_ELEMENTS - 1) / WORD_ELEMENTS * T(STRIP_VECTORS);
}

/* Of the second row that lies in the buffer; 0: only one row fits. */
FORCE_INLINE size_t T(second_row)(size_t cols)
{
    const size_t vectors = cols > T(PART) ? T(ROW_VECTORS) : T(vectors_of)(cols);

    return 2 * vectors <= T(ROW_VECTORS) ? vectors : 0;
}

/* What one row is made of. */
struct T(softmax) {
    const unsigned char *x, *bias; /* NULL: none */
    unsigned char *y, *prob, *lse; /* NULL: not wanted */
    size_t seen;                   /* columns */
    C(vec) x_scale, y_scale;
    C(vec) * t;                    /* of the part at hand; then e */
    C(number) greatest, base, sum; /* base: what is subtracted */
    bool streaming, prob_streaming;
    struct rows_ahead ahead; /* from column 0 on */
};

/* The pairwise sum of 32 partial sums, which are those of the elements of a strip. */
static C(number) T(total)(C(vec) sums[T(STRIP_VECTORS)])
{
    T(vec) rest;

    for (int apart = T(VECTORS) / 2; apart > 0; apart /= 2)
        for (int i = 0; i < apart * T(PARTS); i++)
            sums[i] = C(add)(sums[i], sums[i + apart * T(PARTS)]);
    for (int i = 0; i < T(PARTS); i++)
        *T(part)(&rest, i) = sums[i];
    return T(sum)(rest);
}

/* A NaN may be left out, and may come out: a row that has one is all NaN. */
static C(number) T(greatest_of)(const C(vec) most[T(STRIP_VECTORS)])
{
    C(vec) all = most[0];

    for (int i = 1; i < T(STRIP_VECTORS); i++)
        all = C(max)(most[i], all);
    return C(greatest)(all);
}

/* t of n elements of a strip. n is not looked at if the strip is whole. */
FORCE_INLINE void T(score_strip)(const unsigned char *x, const unsigned char *bias, C(vec) scale,
                                 bool whole, size_t n, C(vec) * t, C(vec) * most)
{
    const C(vec) nothing = C(set1)(-INFINITY);
    uint8_t buffer[WORD_ELEMENTS / 8];
    const keep_bits lanes = first_lanes(whole ? WORD_ELEMENTS : n, buffer);

    for (int v = 0; v < T(VECTORS); v++) {
        const size_t at = (size_t)v * T(LANES);
        T(vec) in, add;

        if (!whole && at >= n) {
            for (int i = 0; i < T(PARTS); i++)
                t[v * T(PARTS) + i] = nothing;
            continue;
        }
        in = whole ? T(load)(x + at * BYTES) : T(load_partial)(x + at * BYTES, n - at);
        if (bias != NULL)
            add = whole ? T(load)(bias + at * BYTES) : T(load_partial)(bias + at * BYTES, n - at);
        for (int i = 0; i < T(PARTS); i++) {
            const int k = v * T(PARTS) + i;

            t[k] = C(mul)(scale, *T(part)(&in, i));
            if (bias != NULL)
                t[k] = C(add)(t[k], *T(part)(&add, i));
            if (!whole)
                t[k] = C(select)(T(keep)(lanes, v, i), t[k], nothing);
            most[k] = C(max)(t[k], most[k]);
        }
    }
}

FORCE_INLINE void T(score_strips)(const struct T(softmax) * r, bool has_bias, size_t col,
                                  size_t count, C(vec) * most)
{
    const unsigned char *x = r->x + col * BYTES;
    const unsigned char *bias = has_bias ? r->bias + col * BYTES : NULL;
    const C(vec) scale = r->x_scale;
    C(vec) local[T(STRIP_VECTORS)], *t = r->t;

    for (int i = 0; i < T(STRIP_VECTORS); i++)
        local[i] = most[i];
    for (; count >= WORD_ELEMENTS; count -= WORD_ELEMENTS) {
        T(score_strip)(x, bias, scale, true, 0, t, local);
        x += T(STRIP_BYTES);
        bias += has_bias ? T(STRIP_BYTES) : 0;
        t += T(STRIP_VECTORS);
    }
    if (count > 0)
        T(score_strip)(x, bias, scale, false, count, t, local);
    for (int i = 0; i < T(STRIP_VECTORS); i++)
        most[i] = local[i];
}

/* t of a part of a row, and the greatest so far of each element of the strips. */
NOINLINE void T(scores)(const struct T(softmax) * r, size_t col, size_t count,
                        C(vec) most[T(STRIP_VECTORS)])
{
    if (r->bias != NULL)
        T(score_strips)(r, true, col, count, most);
    else
        T(score_strips)(r, false, col, count, most);
}

/* e of a part of a row, in the place of t, added to the sums. */
NOINLINE void T(exps)(const struct T(softmax) * r, size_t col, size_t count,
                      C(vec) sums[T(STRIP_VECTORS)])
{
    const C(vec) base = C(set1)(r->base), end = C(set1)(C(EXP_END));
    C(vec) *t = r->t;

    for (size_t done = 0; done < count; done += WORD_ELEMENTS, t += T(STRIP_VECTORS)) {
        for (int i = 0; i < r->ahead.count; i++)
            prefetch_lines(r->ahead.at[i] + (col + done) * BYTES, T(STRIP_BYTES));
        for (int i = 0; i < T(STRIP_VECTORS); i++) {
            t[i] = C(exp)(C(max)(end, C(sub)(t[i], base)));
            sums[i] = C(add)(sums[i], t[i]);
        }
    }
}

FORCE_INLINE void T(put)(unsigned char *at, T(packed) a, bool streaming, bool whole, size_t n)
{
    if (!whole)
        T(store_partial)(at, a, n);
    else if (streaming)
        T(stream)(at, a);
    else
        T(store)(at, a);
}

/* y and prob of n elements of a strip, from e. */
FORCE_INLINE void T(divide_strip)(const struct T(softmax) * r, size_t col, const C(vec) * e,
                                  C(vec) sum, C(vec) reciprocal, keep_bits keep, bool whole,
                                  size_t n)
{
    for (int v = 0; v < T(VECTORS); v++) {
        const size_t in_strip = (size_t)v * T(LANES), at = (col + in_strip) * BYTES;
        T(vec) prob, y;

        if (!whole && in_strip >= n)
            break;
        for (int i = 0; i < T(PARTS); i++) {
            const C(vec) q = C(quotient)(e[v * T(PARTS) + i], sum, reciprocal, v * T(PARTS) + i);

            *T(part)(&prob, i) = q;
            *T(part)(&y, i) = C(only)(T(keep)(keep, v, i), C(mul)(q, r->y_scale));
        }
        if (r->prob != NULL)
            T(put)(r->prob + at, T(round)(prob), r->prob_streaming, whole, n - in_strip);
        T(put)(r->y + at, T(round)(y), r->streaming, whole, n - in_strip);
    }
}

/* y and prob of a part of a row, from e. */
NOINLINE void T(divide)(const struct T(softmax) * row, size_t col, size_t count,
                        const uint8_t *bits)
{
    const struct T(softmax) r = *row; /* which stores to y cannot change */
    const C(vec) divisor = C(set1)(r.sum == 0 ? 1 : r.sum);
    const C(vec) reciprocal = C(div)(C(set1)(1), divisor), *e = r.t;

    for (; count >= WORD_ELEMENTS; count -= WORD_ELEMENTS) {
        T(divide_strip)(&r, col, e, divisor, reciprocal, keep_bits_load(bits), true, 0);
        col += WORD_ELEMENTS;
        e += T(STRIP_VECTORS);
        bits += WORD_ELEMENTS / 8;
    }
    if (count > 0) {
        uint8_t buffer[WORD_ELEMENTS / 8];

        T(divide_strip)
        (&r, col, e, divisor, reciprocal, strip_bits(bits, 0, count, buffer), false, count);
    }
}

static C(number) T(log_sum)(C(number) greatest, C(number) sum)
{
    C(number) log[C(LANES)];

    if (sum == 0)
        return -(C(number))INFINITY;
    C(store)(log, C(log)(C(set1)(sum)));
    return greatest + log[0];
}

static void T(softmax_begin)(struct T(softmax) * r, const struct bitdrop_job *job, size_t row,
                             C(vec) * t)
{
    const struct bitdrop_softmax_rows *rows = job->softmax;
    const uint64_t R = job->first_row + row;
    C(vec) most[T(STRIP_VECTORS)];

    r->x = operand_at(&job->in[0], row, 0);
    r->bias = bias_row(job, R);
    r->y = job->out.at + row * job->out.row_bytes;
    r->prob = job->in[2].col_bytes == 0 ? NULL : job->in[2].at + row * job->in[2].row_bytes;
    r->lse =
        rows->lse == NULL ? NULL : rows->lse + (size_t)(R - rows->first_row) * sizeof(C(number));
    r->seen = columns_seen(rows, R, job->cols);
    r->x_scale = C(set1)(job->C(parameter)[1]);
    r->y_scale = C(set1)(job->C(parameter)[0]);
    r->streaming = job->streaming && (uintptr_t)r->y % T(VECTOR_BYTES) == 0;
    r->prob_streaming = streams_prob(job) && (uintptr_t)r->prob % T(VECTOR_BYTES) == 0;
    r->ahead = rows_ahead_of(job, row);
    r->t = t;
    for (int i = 0; i < T(STRIP_VECTORS); i++)
        most[i] = C(set1)(-INFINITY);
    for (size_t col = 0; col < r->seen; col += T(PART))
        T(scores)(r, col, smaller(r->seen - col, T(PART)), most);
    r->greatest = T(greatest_of)(most);
    r->base = r->greatest == -(C(number))INFINITY ? 0 : r->greatest;
}

/* The scores of a long row are not at hand any more. */
static void T(score_again)(const struct T(softmax) * r, size_t col, size_t count)
{
    C(vec) unused[T(STRIP_VECTORS)];

    for (int i = 0; i < T(STRIP_VECTORS); i++)
        unused[i] = C(set1)(0);
    if (r->seen > T(PART))
        T(scores)(r, col, count, unused);
}

static void T(softmax_sum)(struct T(softmax) * r)
{
    C(vec) sums[T(STRIP_VECTORS)];

    for (int i = 0; i < T(STRIP_VECTORS); i++)
        sums[i] = C(set1)(0);
    for (size_t col = 0; col < r->seen; col += T(PART)) {
        const size_t count = smaller(r->seen - col, T(PART));

        T(score_again)(r, col, count);
        T(exps)(r, col, count, sums);
    }
    r->sum = T(total)(sums);
}

/* If the job stores bits, then those of columns that the row does not see too. */
static void T(softmax_end)(const struct T(softmax) * r, const struct bitdrop_job *job, size_t row,
                           struct row_bits *bits)
{
    const size_t unseen = job->cols - r->seen, wanted = job->mask != NULL ? job->cols : r->seen;
    C(vec) unused[T(STRIP_VECTORS)];

    for (int i = 0; i < T(STRIP_VECTORS); i++)
        unused[i] = C(set1)(0);
    for (size_t col = 0; col < wanted; col += T(PART)) {
        const uint8_t *keep = bits_of_row(bits, row, col, smaller(wanted - col, T(PART)));
        const size_t count = col < r->seen ? smaller(r->seen - col, T(PART)) : 0;

        T(score_again)(r, col, count);
        if (r->seen > T(PART))
            T(exps)(r, col, count, unused);
        T(divide)(r, col, count, keep);
    }
    if (r->lse != NULL) {
        const C(number) lse = T(log_sum)(r->greatest, r->sum);

        memcpy(r->lse, &lse, sizeof lse);
    }
    if (unseen > 0)
        memset(r->y + r->seen * BYTES, 0, unseen * BYTES);
    if (unseen > 0 && r->prob != NULL)
        memset(r->prob + r->seen * BYTES, 0, unseen * BYTES);
}

static void T(op_softmax)(const struct bitdrop_job *job, struct row_bits *bits, C(vec) * buffer)
{
    const size_t second = T(second_row)(job->cols);
    struct T(softmax) r[2];

    for (size_t row = 0; row < job->rows; row++) {
        struct T(softmax) *const now = &r[row % 2];

        T(softmax_begin)(now, job, row, buffer + row % 2 * second);
        if (second > 0 && row > 0)
            T(softmax_end)(&r[(row - 1) % 2], job, row - 1, bits);
        T(softmax_sum)(now);
        if (second == 0 || row + 1 == job->rows)
            T(softmax_end)(now, job, row, bits);
    }
}

#endif
