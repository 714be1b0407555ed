/* SPDX-License-Identifier: Apache-2.0 */
#include "attention.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "oracle.h"

/* The score of one query and one key. */
struct score {
    bool seen, kept; /* not hidden by the causal rule; not dropped */
    double t;        /* scale * q k^T + bias */
    double error;    /* the relative error of exp(t - x) for x near t, in units, at most */
};

static double dropout_scale(const bitdrop_config *cfg)
{
    return cfg->scaling == BITDROP_SCALE_INFER || cfg->p == 1 ? 1 : 1 / (1 - cfg->p);
}

static size_t row_of(const bitdrop_attention *a, size_t b, size_t h, size_t i)
{
    return (b * a->heads + h) * a->queries + i;
}

static size_t kv_row(const bitdrop_attention *a, size_t b, size_t h, size_t j)
{
    return (b * a->kv_heads + h / (a->heads / a->kv_heads)) * a->keys + j;
}

static double scale_of(const bitdrop_attention *a)
{
    return a->scale == 0 ? 1 / sqrt((double)a->dim) : a->scale;
}

static struct score score_of(const struct attention_case *c, size_t b, size_t h, size_t i, size_t j)
{
    const bitdrop_attention *a = c->a;
    const double *q = c->in.q + row_of(a, b, h, i) * a->dim,
                 *k = c->in.k + kv_row(a, b, h, j) * a->dim;
    const uint64_t index = ((b * a->index_heads + h) * a->index_queries + i) * a->index_keys + j;
    struct score s = {.seen = !a->causal || (int64_t)j <= (int64_t)i + a->causal_first};
    double absolute = 0;

    s.kept = oracle_keep(c->cfg, c->cfg->offset + index);
    for (size_t d = 0; d < a->dim; d++) {
        s.t += q[d] * k[d];
        absolute += fabs(q[d] * k[d]);
    }
    s.t *= scale_of(a);
    s.error = 4 + fabs(scale_of(a)) * absolute * (1 + sqrt((double)a->dim));
    if (c->in.bias != NULL) {
        const double bias = c->in.bias[row_of(a, b, h, i) * a->keys + j];

        s.t += bias;
        s.error += fabs(bias) < INFINITY ? fabs(bias) : 0;
    }
    return s;
}

/*
 * Computes one row of out. `sum` is the sum of exp(t - greatest) over all keys that are seen. lse
 * is a NaN where all probabilities are NaNs.
 */
static void forward_row(const struct attention_case *c, size_t b, size_t h, size_t i, double *out,
                        double *error, double *lse, double *lse_error)
{
    const bitdrop_attention *a = c->a;
    double greatest = -INFINITY, sum = 0, worst = 0;
    bool nan = false;

    for (size_t j = 0; j < a->keys; j++) {
        const struct score s = score_of(c, b, h, i, j);

        if (!s.seen)
            continue;
        nan |= s.t != s.t || s.t == INFINITY;
        greatest = s.t > greatest ? s.t : greatest;
        worst = fmax(worst, s.error);
    }
    for (size_t j = 0; j < a->keys && greatest > -INFINITY; j++) {
        const struct score s = score_of(c, b, h, i, j);

        sum += s.seen ? exp(s.t - greatest) : 0;
    }
    *lse = nan ? NAN : sum == 0 ? -INFINITY : greatest + log(sum);
    *lse_error = sum == 0 ? 0 : c->unit * (worst + fabs(*lse));
    memset(out, 0, a->v_dim * sizeof *out);
    memset(error, 0, a->v_dim * sizeof *error);
    for (size_t j = 0; j < a->keys; j++) {
        const struct score s = score_of(c, b, h, i, j);
        const double *v = c->in.v + kv_row(a, b, h, j) * a->v_dim;
        const double p = nan ? NAN : exp(s.t - *lse) * dropout_scale(c->cfg);

        if (!s.seen || !s.kept || (sum == 0 && !nan))
            continue;
        for (size_t d = 0; d < a->v_dim; d++) {
            out[d] += p * v[d];
            error[d] += (c->unit * (worst + s.error) + c->rounding) * fabs(p * v[d]);
        }
    }
}

void attention_forward(const struct attention_case *c, struct attention_result *out,
                       struct attention_result *lse)
{
    const bitdrop_attention *a = c->a;

    for (size_t b = 0; b < a->batch; b++)
        for (size_t h = 0; h < a->heads; h++)
            for (size_t i = 0; i < a->queries; i++) {
                const size_t row = row_of(a, b, h, i);

                forward_row(c, b, h, i, out->number + row * a->v_dim, out->error + row * a->v_dim,
                            lse->number + row, lse->error + row);
            }
}

/* Adds x to number[at]. The error of x is at most `units` units of `size`. */
static void accumulate(const struct attention_case *c, struct attention_result *to, size_t at,
                       double x, double size, double units)
{
    to->number[at] += x;
    to->error[at] += size * (c->unit * units + c->rounding);
}

static void clear(struct attention_result *r, size_t n)
{
    memset(r->number, 0, n * sizeof *r->number);
    memset(r->error, 0, n * sizeof *r->error);
}

/* The sum of x * y. *size is the sum of the absolute values of the products. */
static double dot(const double *x, const double *y, size_t n, double *size)
{
    double sum = 0;

    *size = 0;
    for (size_t d = 0; d < n; d++) {
        sum += x[d] * y[d];
        *size += fabs(x[d] * y[d]);
    }
    return sum;
}

static void backward_score(const struct attention_case *c, size_t b, size_t h, size_t i, size_t j,
                           struct attention_result *dq, struct attention_result *dk,
                           struct attention_result *dv)
{
    const bitdrop_attention *a = c->a;
    const size_t row = row_of(a, b, h, i), kv = kv_row(a, b, h, j);
    const double *dout = c->in.dout + row * a->v_dim, lse = c->in.lse[row];
    const struct score s = score_of(c, b, h, i, j);
    const double scale = dropout_scale(c->cfg), units = s.error + fabs(lse);
    double g_size, dots_size;

    if (!s.seen || lse == -INFINITY)
        return;
    const double p = exp(s.t - lse),
                 dots = dot(dout, c->in.out + row * a->v_dim, a->v_dim, &dots_size);
    const double g = dot(dout, c->in.v + kv * a->v_dim, a->v_dim, &g_size);
    const double ds = scale_of(a) * p * ((s.kept ? scale * g : 0) - dots);
    const double ds_size = fabs(scale_of(a) * p) * ((s.kept ? scale * g_size : 0) + dots_size);
    const double sums = sqrt((double)a->v_dim);

    for (size_t d = 0; d < a->dim; d++) {
        const double k = c->in.k[kv * a->dim + d], q = c->in.q[row * a->dim + d];

        accumulate(c, dq, row * a->dim + d, ds * k, ds_size * fabs(k), units + sums);
        accumulate(c, dk, kv * a->dim + d, ds * q, ds_size * fabs(q), units + sums);
    }
    for (size_t d = 0; d < a->v_dim && s.kept; d++)
        accumulate(c, dv, kv * a->v_dim + d, scale * p * dout[d], scale * p * fabs(dout[d]), units);
}

void attention_backward(const struct attention_case *c, struct attention_result *dq,
                        struct attention_result *dk, struct attention_result *dv)
{
    const bitdrop_attention *a = c->a;
    const size_t kv_rows = a->batch * a->kv_heads * a->keys;

    clear(dq, a->batch * a->heads * a->queries * a->dim);
    clear(dk, kv_rows * a->dim);
    clear(dv, kv_rows * a->v_dim);
    for (size_t b = 0; b < a->batch; b++)
        for (size_t h = 0; h < a->heads; h++)
            for (size_t i = 0; i < a->queries; i++)
                for (size_t j = 0; j < a->keys; j++)
                    backward_score(c, b, h, i, j, dq, dk, dv);
}
