/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "mlp.h"

#include <cblas.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "must.h"
#include "seconds.h"

static const int widths[LAYERS + 1] = {PIXELS, HIDDEN, HIDDEN, CLASSES};

void mlp_init(struct mlp *net, const bitdrop_config *dropout, unsigned short state[3])
{
    *net = (struct mlp){.dropout = *dropout, .mask_hash = 0xCBF29CE484222325};
    for (int l = 0; l < LAYERS; l++) {
        struct layer *a = &net->layer[l];
        const int in = widths[l], out = widths[l + 1];
        const double bound = 1 / sqrt(in);

        a->in = in;
        a->out = out;
        a->rate = 1;
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

void mlp_match_inverted(struct mlp *net)
{
    const float scale = (float)(1 / (1 - net->dropout.p));

    for (int l = 1; l < LAYERS; l++) { /* the first layer has no dropout before it */
        struct layer *a = &net->layer[l];

        cblas_sscal(a->in * a->out, scale, a->weight, 1);
        a->rate = scale * scale;
    }
}

/* All layers share the seed. Each layer has its stream, and each step its range of offsets. */
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

/* Applies the scale of inference, if there is one: BITDROP_SCALE_INFER. */
static void infer(struct mlp *net, int l, int n)
{
    struct layer *a = &net->layer[l];

    must(bitdrop_infer(&net->dropout, BITDROP_F32, (size_t)(n * a->out), a->output, a->output));
}

static void relu(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

/* output = x * weight^T + bias for n rows, then ReLU in hidden layers. */
static void layer_forward(struct layer *a, const float *x, int n, bool hidden)
{
    for (int r = 0; r < n; r++)
        memcpy(a->output + r * a->out, a->bias, (size_t)a->out * sizeof(float));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, a->out, a->in, 1, x, a->in, a->weight,
                a->in, 1, a->output, a->out);
    if (hidden)
        relu(a->output, n * a->out);
}

/*
 * Dropout without a backward pass, so it keeps no mask. Training uses streams 0 to LAYERS - 2, and
 * each pass as many streams after these. The offset depends on the number of the first input, so an
 * input has the same mask in any batch.
 */
static void drop_at_test(struct mlp *net, int l, int n, uint32_t pass, size_t first)
{
    struct layer *a = &net->layer[l];
    bitdrop_config cfg = net->dropout;

    cfg.stream = pass * (LAYERS - 1) + (uint32_t)l;
    cfg.offset = first * (uint64_t)a->out;
    must(bitdrop_recompute(&cfg, BITDROP_F32, (size_t)(n * a->out), a->output, a->output));
}

static void forward_training(struct mlp *net, const float *x)
{
    for (int l = 0; l < LAYERS; l++) {
        layer_forward(&net->layer[l], x, BATCH, l < LAYERS - 1);
        if (net->dropout.p > 0 && l < LAYERS - 1)
            drop_forward(net, l);
        x = net->layer[l].output;
    }
}

/* For n inputs from input number `first` on. */
static void forward_test(struct mlp *net, const float *x, int n, uint32_t pass, size_t first)
{
    for (int l = 0; l < LAYERS; l++) {
        layer_forward(&net->layer[l], x, n, l < LAYERS - 1);
        if (l < LAYERS - 1 && pass == 0)
            infer(net, l, n);
        else if (l < LAYERS - 1)
            drop_at_test(net, l, n, pass, first);
        x = net->layer[l].output;
    }
}

/* Softmax of a row in place. Returns its cross entropy with the label. */
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

/* w -= rate * v. v is momentum * v + g already. Adds the weight decay to v first. */
static void layer_update(struct layer *a, const struct sgd *sgd)
{
    if (sgd->weight_decay > 0)
        cblas_saxpy(a->in * a->out, sgd->weight_decay, a->weight, 1, a->weight_velocity, 1);
    cblas_saxpy(a->in * a->out, -sgd->rate * a->rate, a->weight_velocity, 1, a->weight, 1);
    cblas_saxpy(a->out, -sgd->rate, a->bias_velocity, 1, a->bias, 1);
}

/* Velocities of one layer = momentum * velocities + gradients. below = gradient of its input. */
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

void mlp_train(struct mlp *net, const float (*x)[PIXELS], const unsigned char *label,
               const struct sgd *sgd)
{
    struct layer *last = &net->layer[LAYERS - 1];

    forward_training(net, x[0]);
    for (int r = 0; r < BATCH; r++) {
        softmax(last->output + r * CLASSES, label[r]);
        last->output[r * CLASSES + label[r]] -= 1;
        for (int i = 0; i < CLASSES; i++)
            last->gradient[r * CLASSES + i] = last->output[r * CLASSES + i] / (float)BATCH;
    }
    for (int l = LAYERS - 1; l >= 0; l--) {
        struct layer *below = l > 0 ? &net->layer[l - 1] : NULL;

        layer_backward(&net->layer[l], below != NULL ? below->output : x[0],
                       below != NULL ? below->gradient : NULL, sgd->momentum);
        if (below == NULL)
            break;
        if (net->dropout.p > 0)
            drop_backward(net, l - 1);
        for (int i = 0; i < BATCH * below->out; i++) /* ReLU; dropped outputs are 0 too */
            below->gradient[i] = below->output[i] > 0 ? below->gradient[i] : 0;
    }
    for (int l = 0; l < LAYERS; l++)
        layer_update(&net->layer[l], sgd);
    net->step++;
}

struct score mlp_test(struct mlp *net, const float (*x)[PIXELS], const unsigned char *label,
                      size_t n)
{
    struct score s = {0, 0};

    for (size_t begin = 0; begin < n; begin += BATCH) {
        const int rows = n - begin < BATCH ? (int)(n - begin) : BATCH;

        forward_test(net, x[begin], rows, 0, begin);
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

void mlp_predict(struct mlp *net, const float (*x)[PIXELS], size_t n, uint32_t pass,
                 float (*prob)[CLASSES])
{
    for (size_t begin = 0; begin < n; begin += BATCH) {
        const int rows = n - begin < BATCH ? (int)(n - begin) : BATCH;
        float *output = net->layer[LAYERS - 1].output;

        forward_test(net, x[begin], rows, pass, begin);
        for (int r = 0; r < rows; r++)
            softmax(output + r * CLASSES, 0);
        memcpy(prob[begin], output, (size_t)rows * sizeof *prob);
    }
}

size_t mlp_mask_bytes(void) { return (LAYERS - 1) * bitdrop_mask_bytes(BATCH * HIDDEN); }
