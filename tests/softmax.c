/* SPDX-License-Identifier: Apache-2.0 */
#include "softmax.h"

#include <float.h>
#include <math.h>

#include "oracle.h"

/*
 * Rounds x to the compute type. x is the result of one operation in double. If the operands are
 * f32, it is exact, or rounding it twice gives the same as rounding once (reference.c).
 */
static double rounded(const struct softmax_row *row, double x)
{
    return row->dtype == BITDROP_F64 ? x : (double)(float)x;
}

static double element(const struct softmax_row *row, const void *x, size_t c)
{
    const size_t bytes = row->dtype == BITDROP_F64 ? 8 : row->dtype == BITDROP_F32 ? 4 : 2;

    return oracle_number(row->dtype, (const unsigned char *)x + c * bytes);
}

static double x_scale(const struct softmax_row *row)
{
    return rounded(row, row->soft->scale == 0 ? 1 : row->soft->scale);
}

double softmax_dropout_scale(const struct softmax_row *row)
{
    const bitdrop_config *cfg = row->cfg;

    return rounded(row, cfg->scaling == BITDROP_SCALE_INFER ? 1 : 1 / (1 - cfg->p));
}

size_t softmax_seen(const struct softmax_row *row)
{
    size_t seen = 0;

    if (row->soft->causal_rows == 0)
        return row->cols;
    const uint64_t in_block = row->R % row->soft->causal_rows;
    const int64_t first = row->soft->causal_first;

    for (size_t c = 0; c < row->cols; c++) { /* c <= first + in_block, but the sum may overflow */
        if (first >= 0 ? c <= (uint64_t)first || c - (uint64_t)first <= in_block
                       : in_block >= -(uint64_t)first && c <= in_block - -(uint64_t)first)
            seen++;
    }
    return seen;
}

uint64_t softmax_bias_row(const struct softmax_row *row)
{
    const bitdrop_softmax *s = row->soft;
    const uint64_t repeat = s->bias_repeat == 0 ? 1 : s->bias_repeat;

    if (s->bias_block == 0)
        return row->R - row->first_row;
    return row->R / (s->bias_block * repeat) * s->bias_block + row->R % s->bias_block;
}

static bool is_nan(double x) { return x != x; }

static double score(const struct softmax_row *row, size_t c)
{
    const double t = rounded(row, x_scale(row) * element(row, row->x, c));

    return row->bias == NULL ? t : rounded(row, t + element(row, row->bias, c));
}

/* The greatest of the scores that are seen, and the sum of exp(score - greatest). */
struct facts {
    bool is_nan, is_empty;
    double greatest;
    long double sum;
};

static struct facts facts_of(const struct softmax_row *row, size_t seen)
{
    struct facts f = {.greatest = -INFINITY};

    for (size_t c = 0; c < seen; c++) {
        const double t = score(row, c);

        f.is_nan |= is_nan(t) || t > DBL_MAX;
        if (t > f.greatest)
            f.greatest = t;
    }
    f.is_empty = !f.is_nan && f.greatest < -DBL_MAX;
    for (size_t c = 0; c < seen && !f.is_nan && !f.is_empty; c++)
        f.sum += expl((long double)score(row, c) - f.greatest);
    return f;
}

static struct softmax_range both(double x) { return (struct softmax_range){x, x}; }

/* The errors that docs/reference.md allows. */
struct errors {
    double exp, rounding, least;
};

static struct errors errors_of(const struct softmax_row *row)
{
    return row->dtype == BITDROP_F64 ? (struct errors){1e-14, 0x1p-53, 0x1p-1022}
                                     : (struct errors){1e-6, 0x1p-24, 0x1p-126};
}

static struct softmax_range prob_range(const struct softmax_row *row, const struct facts *f,
                                       size_t c)
{
    const struct errors e = errors_of(row);
    const double t = score(row, c);
    const double exact = t < -DBL_MAX ? 0 : (double)(expl((long double)t - f->greatest) / f->sum);
    double error = e.least;

    if (exact > 0)
        error +=
            exact * (e.exp + e.rounding * (f->greatest - t) + e.rounding * (double)row->cols / 32);
    return (struct softmax_range){exact - error < 0 ? 0 : exact - error, exact + error};
}

/* The range of y, which is prob * scale with one more rounding. */
static struct softmax_range scaled(const struct softmax_row *row, struct softmax_range prob)
{
    const struct errors e = errors_of(row);
    const double scale = softmax_dropout_scale(row);
    const double low = prob.low * scale * (1 - 2 * e.rounding) - e.least;

    return (struct softmax_range){low < 0 ? 0 : low,
                                  prob.high * scale * (1 + 2 * e.rounding) + e.least};
}

static struct softmax_range lse_range(const struct softmax_row *row, const struct facts *f)
{
    const struct errors e = errors_of(row);
    double exact, error;

    if (f->is_nan)
        return both(NAN);
    if (f->is_empty)
        return both(-INFINITY);
    exact = (double)(f->greatest + logl(f->sum));
    error =
        e.exp + e.rounding * ((double)row->cols / 32 + 4 * fabs(exact) + fabs(f->greatest) + 200);
    return (struct softmax_range){exact - error, exact + error};
}

void softmax_forward(const struct softmax_row *row, struct softmax_range *prob,
                     struct softmax_range *y, struct softmax_range *lse)
{
    const size_t seen = softmax_seen(row);
    const struct facts f = facts_of(row, seen);

    for (size_t c = 0; c < row->cols; c++) {
        prob[c] = y[c] = both(0);
        if (c >= seen || f.is_empty)
            continue;
        prob[c] = f.is_nan ? both(NAN) : prob_range(row, &f, c);
        if (row->keep[c])
            y[c] = f.is_nan ? both(NAN) : scaled(row, prob[c]);
    }
    *lse = lse_range(row, &f);
}

static double gradient(const struct softmax_row *row, size_t c)
{
    return row->keep[c] ? rounded(row, element(row, row->dy, c) * softmax_dropout_scale(row)) : 0;
}

void softmax_backward(const struct softmax_row *row, double *dx)
{
    const size_t seen = softmax_seen(row);
    double sums[32] = {0};

    for (size_t c = 0; c < seen; c++)
        sums[c % 32] = oracle_sum(row->dtype, sums[c % 32],
                                  rounded(row, gradient(row, c) * element(row, row->prob, c)));
    for (int apart = 16; apart > 0; apart /= 2)
        for (int i = 0; i < apart; i++)
            sums[i] = oracle_sum(row->dtype, sums[i], sums[i + apart]);
    for (size_t c = 0; c < row->cols; c++)
        dx[c] = c >= seen ? 0
                          : rounded(row, rounded(row, x_scale(row) * element(row, row->prob, c)) *
                                             rounded(row, gradient(row, c) - sums[0]));
}
