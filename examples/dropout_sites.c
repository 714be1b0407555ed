/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "dropout_sites.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "must.h"
#include "seconds.h"

void sites_init(struct sites *s, bool fused, double p, uint64_t seed, const size_t elements[SITES])
{
    size_t largest = 0;

    *s = (struct sites){.fused = fused, .p = p, .seed = seed};
    for (int i = 0; i < SITES; i++) {
        largest = elements[i] > largest ? elements[i] : largest;
        if (!fused) {
            s->mask[i] = allocate(bitdrop_mask_bytes(elements[i]), 1);
            s->kept_bytes += bitdrop_mask_bytes(elements[i]);
        }
    }
    if (!fused) {
        s->dropped = allocate(elements[AFTER_SOFTMAX], sizeof(float));
        s->kept_bytes += elements[AFTER_SOFTMAX] * sizeof(float);
    }
    s->scratch = allocate(largest, sizeof(float));
}

void sites_free(struct sites *s)
{
    for (int i = 0; i < SITES; i++)
        free(s->mask[i]);
    free(s->dropped);
    free(s->scratch);
}

/* All sites share the seed. Each site has its stream, and each step its range of offsets. */
static bitdrop_config config_of(const struct sites *s, enum site site, size_t elements)
{
    return (bitdrop_config){.p = s->p,
                            .seed = s->seed,
                            .stream = (uint32_t)site,
                            .offset = s->step * elements,
                            .mask_use = s->fused ? BITDROP_MASK_REMADE : BITDROP_MASK_STORED};
}

/* Fused calls without dropout compute only the operation beside it. */
static const bitdrop_config no_dropout = {.mask_use = BITDROP_MASK_REMADE};

/* Separate passes, as in an engine without fused calls. */

static void multiply(size_t n, float a, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a * x[i];
}

static void add(size_t n, const float *x, const float *z, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] + z[i];
}

static void add_bias(size_t rows, size_t cols, const float *bias, float *x)
{
    for (size_t r = 0; r < rows; r++)
        add(cols, x + r * cols, bias, x + r * cols);
}

static void hide_later_columns(size_t rows, size_t cols, float *x)
{
    size_t seen = 0; /* columns of the row */

    for (size_t r = 0; r < rows; r++) {
        seen = seen < cols ? seen + 1 : 1;
        for (size_t c = seen; c < cols; c++)
            x[r * cols + c] = -INFINITY;
    }
}

/* The operations of dropout_sites.h. */

const float *softmax_dropout(struct sites *s, size_t rows, size_t cols, double scale, float *scores,
                             float *prob)
{
    const bitdrop_config cfg = config_of(s, AFTER_SOFTMAX, rows * cols);
    const bitdrop_2d shape = {.rows = rows, .cols = cols};
    const double start = seconds();
    float *dropped = s->fused ? s->scratch : s->dropped;

    if (s->fused) {
        const bitdrop_softmax causal = {.scale = scale, .causal_rows = cols};

        must(bitdrop_forward_softmax(&cfg, BITDROP_F32, &shape, &causal, scores, prob, dropped,
                                     NULL));
    } else {
        multiply(rows * cols, (float)scale, scores, scores);
        hide_later_columns(rows, cols, scores);
        must(bitdrop_forward_softmax(&no_dropout, BITDROP_F32, &shape, &(bitdrop_softmax){0},
                                     scores, NULL, prob, NULL));
        must(
            bitdrop_forward(&cfg, BITDROP_F32, rows * cols, prob, dropped, s->mask[AFTER_SOFTMAX]));
    }
    s->seconds += seconds() - start;
    return dropped;
}

const float *softmax_dropped(struct sites *s, size_t rows, size_t cols, const float *prob)
{
    const bitdrop_config cfg = config_of(s, AFTER_SOFTMAX, rows * cols);
    const double start = seconds();

    if (!s->fused)
        return s->dropped;
    must(bitdrop_recompute(&cfg, BITDROP_F32, rows * cols, prob, s->scratch));
    s->seconds += seconds() - start;
    return s->scratch;
}

void softmax_dropout_backward(struct sites *s, size_t rows, size_t cols, double scale,
                              const float *prob, float *dscores)
{
    const bitdrop_config cfg = config_of(s, AFTER_SOFTMAX, rows * cols);
    const bitdrop_2d shape = {.rows = rows, .cols = cols};
    const bitdrop_softmax causal = {.scale = scale, .causal_rows = cols};
    const double start = seconds();

    if (s->fused) {
        must(bitdrop_backward_softmax(&cfg, BITDROP_F32, &shape, &causal, dscores, prob, dscores,
                                      NULL));
    } else {
        must(bitdrop_backward(&cfg, BITDROP_F32, rows * cols, dscores, dscores,
                              s->mask[AFTER_SOFTMAX]));
        must(bitdrop_backward_softmax(&no_dropout, BITDROP_F32, &shape, &causal, dscores, prob,
                                      dscores, NULL));
    }
    s->seconds += seconds() - start;
}

void gelu_dropout(struct sites *s, size_t rows, size_t cols, float *x, const float *bias, float *y)
{
    const bitdrop_config cfg = config_of(s, AFTER_GELU, rows * cols);
    const bitdrop_2d shape = {.rows = rows, .cols = cols};
    const double start = seconds();

    if (s->fused) {
        must(bitdrop_forward_act(&cfg, BITDROP_F32, &shape, BITDROP_GELU, x, bias, y, NULL));
    } else {
        add_bias(rows, cols, bias, x);
        must(bitdrop_forward_act(&no_dropout, BITDROP_F32, &shape, BITDROP_GELU, x, NULL, y, NULL));
        must(bitdrop_forward(&cfg, BITDROP_F32, rows * cols, y, y, s->mask[AFTER_GELU]));
    }
    s->seconds += seconds() - start;
}

void gelu_dropout_backward(struct sites *s, size_t rows, size_t cols, const float *x,
                           const float *bias, float *dx)
{
    const bitdrop_config cfg = config_of(s, AFTER_GELU, rows * cols);
    const bitdrop_2d shape = {.rows = rows, .cols = cols};
    const double start = seconds();

    if (s->fused) {
        must(bitdrop_backward_act(&cfg, BITDROP_F32, &shape, BITDROP_GELU, dx, x, bias, dx, NULL));
    } else {
        must(bitdrop_backward(&cfg, BITDROP_F32, rows * cols, dx, dx, s->mask[AFTER_GELU]));
        must(bitdrop_backward_act(&no_dropout, BITDROP_F32, &shape, BITDROP_GELU, dx, x, NULL, dx,
                                  NULL));
    }
    s->seconds += seconds() - start;
}

void add_dropout(struct sites *s, enum site site, size_t rows, size_t cols, float *x,
                 const float *bias, const float *residual, float *y)
{
    const bitdrop_config cfg = config_of(s, site, rows * cols);
    const bitdrop_2d shape = {.rows = rows, .cols = cols};
    const double start = seconds();

    if (s->fused) {
        must(bitdrop_forward_add(&cfg, BITDROP_F32, &shape, x, bias, residual, y, NULL));
    } else {
        add_bias(rows, cols, bias, x);
        must(bitdrop_forward(&cfg, BITDROP_F32, rows * cols, x, x, s->mask[site]));
        add(rows * cols, residual, x, y);
    }
    s->seconds += seconds() - start;
}

void add_dropout_backward(struct sites *s, enum site site, size_t rows, size_t cols,
                          const float *dy, float *dx)
{
    const bitdrop_config cfg = config_of(s, site, rows * cols);
    const double start = seconds();

    must(bitdrop_backward(&cfg, BITDROP_F32, rows * cols, dy, dx, s->mask[site]));
    s->seconds += seconds() - start;
}
