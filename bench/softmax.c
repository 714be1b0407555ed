/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of softmax_loops.h, compiled once for each ISA. VEC_H is the vec.h of the ISA, LOOPS
 * the name of their list. The compiler vectorises the plain loops.
 */
#include VEC_H

#include "softmax_loops.h"

extern const struct softmax_loops LOOPS;

/* A row of whole vectors, by a library of vector math and separate loops. */
static void softmax_row(const float *restrict x, float *restrict y, size_t cols)
{
    float maxima[f32_LANES], sums[f32_LANES] = {0}, greatest = x[0], sum = 0;

    for (size_t k = 0; k < f32_LANES; k++)
        maxima[k] = x[k];
    for (size_t i = 0; i < cols; i += f32_LANES)
        for (size_t k = 0; k < f32_LANES; k++)
            maxima[k] = x[i + k] > maxima[k] ? x[i + k] : maxima[k];
    for (size_t k = 0; k < f32_LANES; k++)
        greatest = maxima[k] > greatest ? maxima[k] : greatest;
    for (size_t i = 0; i < cols; i++)
        y[i] = 0.125F * (x[i] - greatest);
    for (size_t i = 0; i < cols; i += f32_LANES)
        f32_store(y + i, f32_exp(f32_load(y + i)));
    for (size_t i = 0; i < cols; i += f32_LANES)
        for (size_t k = 0; k < f32_LANES; k++)
            sums[k] += y[i + k];
    for (size_t k = 0; k < f32_LANES; k++)
        sum += sums[k];
    for (size_t i = 0; i < cols; i++)
        y[i] /= sum;
}

static void softmax_loop(const struct softmax_loop_arguments *a)
{
    for (size_t row = 0; row < a->rows; row++)
        softmax_row((const float *)a->x + row * a->cols, (float *)a->y + row * a->cols, a->cols);
}

static void grad_f32(const struct softmax_loop_arguments *a)
{
    const float *x = a->x, *prob = a->prob;
    float *y = a->y;

    for (size_t i = 0; i < a->rows * a->cols; i += f32_LANES)
        f32_store(y + i, f32_mul(f32_mul(f32_load(prob + i), f32_set1(0.125)), f32_load(x + i)));
}

static void grad_bf16(const struct softmax_loop_arguments *a)
{
    const uint16_t *x = a->x, *prob = a->prob;
    uint16_t *y = a->y;

    for (size_t i = 0; i < a->rows * a->cols; i += bf16_LANES) {
        bf16_vec u = bf16_load(x + i), p = bf16_mul(bf16_load(prob + i), f32_set1(0.125));

        for (int k = 0; k < bf16_PARTS; k++)
            *bf16_part(&u, k) = f32_mul(*bf16_part(&u, k), *bf16_part(&p, k));
        bf16_store(y + i, bf16_round(u));
    }
}

const struct softmax_loops LOOPS = {softmax_loop, grad_f32, grad_bf16};

#include "template/target_end.h"
