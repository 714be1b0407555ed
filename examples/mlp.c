/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "mlp.h"

#include <cblas.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seconds.h"

static const int widths[LAYERS + 1] = {PIXELS, HIDDEN, HIDDEN, CLASSES};

static void *allocate(size_t count, size_t size)
{
    void *p = calloc(count, size);

    if (p == NULL) {
        fputs("digits: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

static void must(bitdrop_status status)
{
    if (status != BITDROP_OK) {
        fprintf(stderr, "digits: %s\n", bitdrop_status_string(status));
        exit(1);
    }
}

void mlp_init(struct mlp *net, double p, uint64_t seed, unsigned short state[3])
{
    *net = (struct mlp){.dropout = {.p = p, .seed = seed}, .mask_hash = 0xCBF29CE484222325};
    for (int l = 0; l < LAYERS; l++) {
        struct layer *a = &net->layer[l];
        const int in = widths[l], out = widths[l + 1];
        const double bound = 1 / sqrt(in);

        a->in = in;
        a->out = out;
        a->weight = allocate((size_t)(in * out), sizeof(float));
        a->weight_velocity = allocate((size_t)(in * out), sizeof(float));
        a->bias = allocate((size_t)out, sizeof(float));
        a->bias_velocity = allocate((size_t)out, sizeof(float));
        a->output = allocate((size_t)(BATCH * out), sizeof(float));
        a->gradient = allocate((size_t)(BATCH * out), sizeof(float));
        a->mask = allocate(bitdrop_mask_bytes((size_t)(BATCH * out)), 1);
        for (int i = 0; i < in * out; i++)
            a->weight[i] = (float)(bound * (2 * erand48(state) - 1));
        for (int i = 0; i < out; i++)
            a->bias[i] = (float)(bound * (2 * erand48(state) - 1));
    }
}

void mlp_free(struct mlp *net)
{
    for (int l = 0; l < LAYERS; l++) {
        struct layer *a = &net->layer[l];

        free(a->weight);
        free(a->weight_velocity);
        free(a->bias);
        free(a->bias_velocity);
        free(a->output);
        free(a->gradient);
        free(a->mask);
    }
}

/*
 * Where dropout stands in the stream: the run's seed, a stream for each layer, and an offset that
 * moves on by the layer's elements at each step.
 */
static bitdrop_config dropout_of(const struct mlp *net, int l)
{
    bitdrop_config cfg = net->dropout;

    cfg.stream = (uint32_t)l;
    cfg.offset = net->step * (uint64_t)(BATCH * net->layer[l].out);
    return cfg;
}

static void drop_forward(struct mlp *net, int l)
{
    const bitdrop_config cfg = dropout_of(net, l);
    struct layer *a = &net->layer[l];
    const size_t n = (size_t)(BATCH * a->out);
    const double start = seconds();

    must(bitdrop_forward(&cfg, BITDROP_F32, n, a->output, a->output, a->mask));
    net->dropout_seconds += seconds() - start;
    for (size_t i = 0; i < bitdrop_mask_bytes(n); i++)
        net->mask_hash = (net->mask_hash ^ a->mask[i]) * 0x100000001B3;
}

static void drop_backward(struct mlp *net, int l)
{
    const bitdrop_config cfg = dropout_of(net, l);
    struct layer *a = &net->layer[l];
    const double start = seconds();

    must(bitdrop_backward(&cfg, BITDROP_F32, (size_t)(BATCH * a->out), a->gradient, a->gradient,
                          a->mask));
    net->dropout_seconds += seconds() - start;
}

/* output = x * weight^T + bias for n rows, then ReLU in hidden layers. */
static void layer_forward(struct layer *a, const float *x, int n, bool hidden)
{
    for (int r = 0; r < n; r++)
        memcpy(a->output + r * a->out, a->bias, (size_t)a->out * sizeof(float));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, a->out, a->in, 1, x, a->in, a->weight,
                a->in, 1, a->output, a->out);
    for (int i = 0; hidden && i < n * a->out; i++)
        a->output[i] = a->output[i] > 0 ? a->output[i] : 0;
}

static void forward(struct mlp *net, const float *x, int n, bool training)
{
    for (int l = 0; l < LAYERS; l++) {
        layer_forward(&net->layer[l], x, n, l < LAYERS - 1);
        if (training && net->dropout.p > 0 && l < LAYERS - 1)
            drop_forward(net, l);
        x = net->layer[l].output;
    }
}

/* Softmax of a row in place; returns its cross entropy with the label. */
static double softmax(float *row, unsigned char label)
{
    double sum = 0, largest = row[0];
    const double logit = row[label];

    for (int i = 1; i < CLASSES; i++)
        largest = fmax(largest, row[i]);
    for (int i = 0; i < CLASSES; i++)
        sum += exp(row[i] - largest);
    for (int i = 0; i < CLASSES; i++)
        row[i] = (float)(exp(row[i] - largest) / sum);
    return log(sum) + largest - logit;
}

/* v = momentum * v + g, w -= rate * v, where v already holds momentum * v + g. */
static void layer_update(struct layer *a, float rate)
{
    cblas_saxpy(a->in * a->out, -rate, a->weight_velocity, 1, a->weight, 1);
    cblas_saxpy(a->out, -rate, a->bias_velocity, 1, a->bias, 1);
}

/* Gradients of one layer into its velocities, and into `below`, the gradient of its input. */
static void layer_backward(struct layer *a, const float *x, float *below, float momentum)
{
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, a->out, a->in, BATCH, 1, a->gradient,
                a->out, x, a->in, momentum, a->weight_velocity, a->in);
    cblas_sscal(a->out, momentum, a->bias_velocity, 1);
    for (int r = 0; r < BATCH; r++)
        cblas_saxpy(a->out, 1, a->gradient + r * a->out, 1, a->bias_velocity, 1);
    if (below != NULL)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, BATCH, a->in, a->out, 1, a->gradient,
                    a->out, a->weight, a->in, 0, below, a->in);
}

void mlp_train(struct mlp *net, const float (*x)[PIXELS], const unsigned char *label, float rate,
               float momentum)
{
    struct layer *last = &net->layer[LAYERS - 1];

    forward(net, x[0], BATCH, true);
    for (int r = 0; r < BATCH; r++) {
        softmax(last->output + r * CLASSES, label[r]);
        last->output[r * CLASSES + label[r]] -= 1;
        for (int i = 0; i < CLASSES; i++)
            last->gradient[r * CLASSES + i] = last->output[r * CLASSES + i] / BATCH;
    }
    for (int l = LAYERS - 1; l >= 0; l--) {
        struct layer *below = l > 0 ? &net->layer[l - 1] : NULL;

        layer_backward(&net->layer[l], below != NULL ? below->output : x[0],
                       below != NULL ? below->gradient : NULL, momentum);
        if (below == NULL)
            break;
        if (net->dropout.p > 0)
            drop_backward(net, l - 1);
        for (int i = 0; i < BATCH * below->out; i++) /* of ReLU; a dropped output is 0 as well */
            if (!(below->output[i] > 0))
                below->gradient[i] = 0;
    }
    for (int l = 0; l < LAYERS; l++)
        layer_update(&net->layer[l], rate);
    net->step++;
}

struct score mlp_test(struct mlp *net, const float (*x)[PIXELS], const unsigned char *label,
                      size_t n)
{
    struct score s = {0, 0};

    for (size_t begin = 0; begin < n; begin += BATCH) {
        const int rows = n - begin < BATCH ? (int)(n - begin) : BATCH;

        forward(net, x[begin], rows, false);
        for (int r = 0; r < rows; r++) {
            float *row = net->layer[LAYERS - 1].output + r * CLASSES;

            s.loss += softmax(row, label[begin + (size_t)r]);
            s.accuracy += cblas_isamax(CLASSES, row, 1) == label[begin + (size_t)r];
        }
    }
    s.accuracy /= (double)n;
    s.loss /= (double)n;
    return s;
}

size_t mlp_mask_bytes(void) { return (LAYERS - 1) * bitdrop_mask_bytes(BATCH * HIDDEN); }
