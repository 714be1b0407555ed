/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax, then dropout, of each row: y = D(prob), where prob = e / (sum of e),
 * e = exp(t - greatest t) and t = scale * x + bias. in = {x, bias, prob}, of which prob is an
 * output. p[0] is the scale of D, p[1] that of x.
 *
 * A row has three passes: t and its greatest element, e and its sum, the division. It is computed
 * in parts that fit into the buffer. A short row is one part. A longer row computes t and e again
 * in each pass, with the same results. If two rows fit into the buffer, the last pass of one row
 * runs between the first and the second pass of the next. So the greatest t and the sum of a row
 * are ready when they are needed, and each row is read and written between the exps of two rows.
 *
 * The buffer holds t as C(vec)s, and then e. Lanes after the last element are -infinity, so their e
 * is +0.
 */
#ifndef BITDROP_PARAMETERS

#include "template/softmax.h"

enum {
    T(STRIP_VECTORS) = WORD_ELEMENTS / C(LANES), /* C(vec)s in a strip */
    T(ROW_VECTORS) = SOFTMAX_BUFFER_BYTES / sizeof(C(vec)),
    T(PART) = T(ROW_VECTORS) * C(LANES) /* elements of a part, at most */
};

/* How many vectors of the buffer a short row fills. */
FORCE_INLINE size_t T(vectors_of)(size_t cols)
{
    return (cols + WORD_ELEMENTS - 1) / WORD_ELEMENTS * T(STRIP_VECTORS);
}

/* The vector of the buffer at which a second row begins. 0: only one row fits. */
FORCE_INLINE size_t T(second_row)(size_t cols)
{
    const size_t vectors = cols > T(PART) ? T(ROW_VECTORS) : T(vectors_of)(cols);

    return 2 * vectors <= T(ROW_VECTORS) ? vectors : 0;
}

/* One row. */
struct T(softmax) {
    const unsigned char *x, *bias; /* NULL: none */
    unsigned char *y, *prob, *lse; /* NULL: not wanted */
    size_t seen;                   /* columns */
    C(vec) x_scale, y_scale;
    C(vec) * t;                    /* of the current part; then e */
    C(number) greatest, base, sum; /* base: subtracted from t; 0 if greatest is -infinity */
    bool streaming, prob_streaming;
    struct rows_ahead ahead; /* from column 0 on */
};

/* The pairwise sum of 32 partial sums: one for each element of a strip. */
static C(number) T(total)(C(vec) sums[T(STRIP_VECTORS)])
{
    T(vec) last;

    for (int apart = T(VECTORS) / 2; apart > 0; apart /= 2)
        for (int i = 0; i < apart * T(PARTS); i++)
            sums[i] = C(add)(sums[i], sums[i + apart * T(PARTS)]);
    for (int i = 0; i < T(PARTS); i++)
        *T(part)(&last, i) = sums[i];
    return T(sum)(last);
}

/*
 * The greatest of the maxima. A NaN may be ignored or returned: the sum of a row with a NaN is a
 * NaN in both cases.
 */
static C(number) T(greatest_of)(const C(vec) maxima[T(STRIP_VECTORS)])
{
    C(vec) all = maxima[0];

    for (int i = 1; i < T(STRIP_VECTORS); i++)
        all = C(max)(maxima[i], all);
    return C(greatest)(all);
}

/* Computes t of a strip, and updates the maxima. The strip has n elements if it is not whole. */
FORCE_INLINE void T(score_strip)(const unsigned char *x, const unsigned char *bias, C(vec) scale,
                                 bool whole, size_t n, C(vec) * t, C(vec) * maxima)
{
    const C(vec) minus_infinity = C(set1)(-INFINITY);
    uint8_t buffer[WORD_ELEMENTS / 8];
    const keep_bits lanes = first_lanes(whole ? WORD_ELEMENTS : n, buffer);

    for (int v = 0; v < T(VECTORS); v++) {
        const size_t at = (size_t)v * T(LANES);
        T(vec) in, add;

        if (!whole && at >= n) {
            for (int i = 0; i < T(PARTS); i++)
                t[v * T(PARTS) + i] = minus_infinity;
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
                t[k] = C(select)(T(keep)(lanes, v, i), t[k], minus_infinity);
            maxima[k] = C(max)(t[k], maxima[k]);
        }
    }
}

/* Computes t of a part of a row, and updates the maxima. Works on a copy of them. */
FORCE_INLINE void T(score_strips)(const struct T(softmax) * r, bool has_bias, size_t col,
                                  size_t count, C(vec) * maxima)
{
    const unsigned char *x = r->x + col * BYTES;
    const unsigned char *bias = has_bias ? r->bias + col * BYTES : NULL;
    const C(vec) scale = r->x_scale;
    C(vec) local[T(STRIP_VECTORS)], *t = r->t;

    for (int i = 0; i < T(STRIP_VECTORS); i++)
        local[i] = maxima[i];
    for (; count >= WORD_ELEMENTS; count -= WORD_ELEMENTS) {
        T(score_strip)(x, bias, scale, true, 0, t, local);
        x += T(STRIP_BYTES);
        bias += has_bias ? T(STRIP_BYTES) : 0;
        t += T(STRIP_VECTORS);
    }
    if (count > 0)
        T(score_strip)(x, bias, scale, false, count, t, local);
    for (int i = 0; i < T(STRIP_VECTORS); i++)
        maxima[i] = local[i];
}

/* Computes t of a part of a row, and updates the maxima: one for each element of a strip. */
NOINLINE void T(scores)(const struct T(softmax) * r, size_t col, size_t count,
                        C(vec) maxima[T(STRIP_VECTORS)])
{
    if (r->bias != NULL)
        T(score_strips)(r, true, col, count, maxima);
    else
        T(score_strips)(r, false, col, count, maxima);
}

/* Replaces t of a part of a row by e, and adds it to the sums. */
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

/* Stores a vector, or its first n elements if it is not whole. */
FORCE_INLINE void T(put)(unsigned char *at, T(packed) a, bool streaming, bool whole, size_t n)
{
    if (!whole)
        T(store_partial)(at, a, n);
    else if (streaming)
        T(stream)(at, a);
    else
        T(store)(at, a);
}

/* Stores y and prob of a strip, from e. The strip has n elements if it is not whole. */
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

/*
 * Stores y and prob of a part of a row, from e. Works on a copy of the row, because compilers know
 * that stores to y cannot change it.
 */
NOINLINE void T(divide)(const struct T(softmax) * row, size_t col, size_t count,
                        const uint8_t *bits)
{
    const struct T(softmax) r = *row;
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

/* The log of the sum of exp(t), for lse. */
static C(number) T(log_sum)(C(number) greatest, C(number) sum)
{
    C(number) log[C(LANES)];

    if (sum == 0)
        return -(C(number))INFINITY;
    C(store)(log, C(log)(C(set1)(sum)));
    return greatest + log[0];
}

/* Begins a row with its first pass: t and its greatest element. */
static void T(softmax_begin)(struct T(softmax) * r, const struct bitdrop_job *job, size_t row,
                             C(vec) * t)
{
    const struct bitdrop_softmax_rows *rows = job->softmax;
    const uint64_t R = job->first_row + row;
    C(vec) maxima[T(STRIP_VECTORS)];

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
        maxima[i] = C(set1)(-INFINITY);
    for (size_t col = 0; col < r->seen; col += T(PART))
        T(scores)(r, col, smaller(r->seen - col, T(PART)), maxima);
    r->greatest = T(greatest_of)(maxima);
    r->base = r->greatest == -(C(number))INFINITY ? 0 : r->greatest;
}

/* Computes t of a part again if the row is long: the buffer has t of its last part only. */
static void T(score_again)(const struct T(softmax) * r, size_t col, size_t count)
{
    C(vec) unused[T(STRIP_VECTORS)];

    for (int i = 0; i < T(STRIP_VECTORS); i++)
        unused[i] = C(set1)(0);
    if (r->seen > T(PART))
        T(scores)(r, col, count, unused);
}

/* The second pass: e and its sum. */
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

/*
 * The last pass: the division. If the job stores bits, it makes those of columns that the row does
 * not see, too.
 */
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
    struct T(softmax) r[2]; /* this row, and the one before */

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
