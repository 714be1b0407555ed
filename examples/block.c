/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "block.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "must.h"

/* Values that forward keeps for backward. */
struct activations {
    float x[NORMS][TOKENS * WIDTH];      /* residual stream before attention, MLP and output */
    float normed[NORMS][TOKENS * WIDTH]; /* x, normalised */
    float inverse_deviation[NORMS][TOKENS], mean[NORMS][TOKENS]; /* of the rows of x */
    float qkv[TOKENS * 3 * WIDTH];
    float prob[SCORES]; /* a matrix of CONTEXT x CONTEXT for each sequence and head */
    float attended[TOKENS * WIDTH];
    float hidden[TOKENS * HIDDEN], active[TOKENS * HIDDEN]; /* before and after GELU */
};

/* Gradients, and values that are not kept. */
static struct {
    float x[TOKENS * WIDTH], branch[TOKENS * WIDTH], normed[TOKENS * WIDTH];
    float qkv[TOKENS * 3 * WIDTH], scores[SCORES], hidden[TOKENS * HIDDEN];
} work;

static float *floats(size_t count) { return allocate(count, sizeof(float)); }

/* A tensor with values drawn from U(-bound, bound). */
static struct tensor tensor_of(size_t rows, size_t cols, double bound, unsigned short state[3])
{
    const size_t n = rows * cols;
    struct tensor t = {rows, cols, floats(n), floats(n), floats(n), floats(n)};

    for (size_t i = 0; bound > 0 && i < n; i++)
        t.value[i] = (float)(bound * (2 * erand48(state) - 1));
    return t;
}

void model_init(struct model *m, size_t characters, double p, bool fused, uint64_t seed,
                unsigned short state[3])
{
    const size_t elements[SITES] = {[AFTER_SOFTMAX] = SCORES,
                                    [AFTER_ATTENTION] = TOKENS * WIDTH,
                                    [AFTER_GELU] = TOKENS * HIDDEN,
                                    [AFTER_MLP] = TOKENS * WIDTH};
    const double bound = 1 / sqrt(WIDTH), hidden_bound = 1 / sqrt(HIDDEN);

    m->token = tensor_of(characters, WIDTH, 0.1, state);
    m->position = tensor_of(CONTEXT, WIDTH, 0.1, state);
    for (int i = 0; i < NORMS; i++) {
        m->gain[i] = tensor_of(1, WIDTH, 0, state);
        m->shift[i] = tensor_of(1, WIDTH, 0, state);
        for (int c = 0; c < WIDTH; c++)
            m->gain[i].value[c] = 1;
    }
    m->qkv = tensor_of(WIDTH, 3 * WIDTH, bound, state);
    m->project = tensor_of(WIDTH, WIDTH, bound, state);
    m->project_bias = tensor_of(1, WIDTH, 0, state);
    m->up = tensor_of(WIDTH, HIDDEN, bound, state);
    m->up_bias = tensor_of(1, HIDDEN, 0, state);
    m->down = tensor_of(HIDDEN, WIDTH, hidden_bound, state);
    m->down_bias = tensor_of(1, WIDTH, 0, state);
    m->output = tensor_of(WIDTH, characters, bound, state);
    sites_init(&m->sites, fused, p, seed, elements);
    m->kept = allocate(1, sizeof *m->kept);
    m->logits = floats(TOKENS * characters);
}

/* Calls f for each tensor of parameters. */
static void each_tensor(struct model *m, void (*f)(struct tensor *t, const void *argument),
                        const void *argument)
{
    enum { OTHERS = 10 };
    struct tensor *const others[OTHERS] = {&m->token,        &m->position, &m->qkv,     &m->project,
                                           &m->project_bias, &m->up,       &m->up_bias, &m->down,
                                           &m->down_bias,    &m->output};

    for (int i = 0; i < OTHERS; i++)
        f(others[i], argument);
    for (int i = 0; i < NORMS; i++) {
        f(&m->gain[i], argument);
        f(&m->shift[i], argument);
    }
}

static void free_tensor(struct tensor *t, const void *argument)
{
    (void)argument;
    free(t->value);
    free(t->gradient);
    free(t->mean);
    free(t->square);
}

void model_free(struct model *m)
{
    each_tensor(m, free_tensor, NULL);
    sites_free(&m->sites);
    free(m->kept);
    free(m->logits);
}

/* y = x * w, for TOKENS rows. */
static void multiply(const struct tensor *w, const float *x, float *y)
{
    const int in = (int)w->rows, out = (int)w->cols;

    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, TOKENS, out, in, 1, x, in, w->value, out,
                0, y, out);
}

static void multiply_backward(struct tensor *w, const float *x, const float *dy, float *dx)
{
    const int in = (int)w->rows, out = (int)w->cols;

    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, in, out, TOKENS, 1, x, in, dy, out, 0,
                w->gradient, out);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, TOKENS, in, out, 1, dy, out, w->value, out,
                0, dx, in);
}

/* The gradient of a bias: the sums of the columns. */
static void bias_backward(struct tensor *bias, const float *dy)
{
    memset(bias->gradient, 0, bias->cols * sizeof(float));
    for (size_t r = 0; r < TOKENS; r++)
        for (size_t c = 0; c < bias->cols; c++)
            bias->gradient[c] += dy[r * bias->cols + c];
}

static const float width = WIDTH, tokens = TOKENS;

/* normed = gain * (x - mean) / deviation + shift, in each row (Ba, Kiros, Hinton, 2016). */
static void normalise(struct model *m, enum norm i)
{
    struct activations *a = m->kept;

    for (size_t r = 0; r < TOKENS; r++) {
        const float *x = a->x[i] + r * WIDTH;
        float mean = 0, variance = 0;

        for (size_t c = 0; c < WIDTH; c++)
            mean += x[c] / width;
        for (size_t c = 0; c < WIDTH; c++)
            variance += (x[c] - mean) * (x[c] - mean) / width;
        a->mean[i][r] = mean;
        a->inverse_deviation[i][r] = 1 / sqrtf(variance + 1e-5F);
        for (size_t c = 0; c < WIDTH; c++)
            a->normed[i][r * WIDTH + c] =
                m->gain[i].value[c] * (x[c] - mean) * a->inverse_deviation[i][r] +
                m->shift[i].value[c];
    }
}

/* Adds the gradient of x[i] to work.x. work.normed is the gradient of normed[i]. */
static void normalise_backward(struct model *m, enum norm i)
{
    const struct activations *a = m->kept;

    bias_backward(&m->shift[i], work.normed);
    memset(m->gain[i].gradient, 0, WIDTH * sizeof(float));
    for (size_t r = 0; r < TOKENS; r++) {
        const float *x = a->x[i] + r * WIDTH, *dy = work.normed + r * WIDTH;
        const float inverse = a->inverse_deviation[i][r];
        float scaled[WIDTH], g[WIDTH], g_mean = 0, product_mean = 0;

        for (size_t c = 0; c < WIDTH; c++) {
            scaled[c] = (x[c] - a->mean[i][r]) * inverse;
            g[c] = dy[c] * m->gain[i].value[c];
            m->gain[i].gradient[c] += dy[c] * scaled[c];
            g_mean += g[c] / width;
            product_mean += g[c] * scaled[c] / width;
        }
        for (size_t c = 0; c < WIDTH; c++)
            work.x[r * WIDTH + c] += inverse * (g[c] - g_mean - scaled[c] * product_mean);
    }
}

/* Index of the matrix of one sequence and head in prob or scores. */
static size_t scores_of(int sequence, int head)
{
    return (size_t)(sequence * HEADS + head) * CONTEXT * CONTEXT;
}

/* Index of the first element of one sequence and head in a matrix with a row for each token. */
static size_t place_of(int sequence, int head, int row_width)
{
    return (size_t)(sequence * CONTEXT * row_width + head * HEAD_WIDTH);
}

/* attended = dropout(softmax(q k^T / sqrt(HEAD_WIDTH))) v. A token sees itself and earlier ones. */
static void attend(struct model *m)
{
    enum { QKV = 3 * WIDTH };
    struct activations *a = m->kept;

    for (int s = 0; s < SEQUENCES; s++)
        for (int h = 0; h < HEADS; h++) {
            const float *q = a->qkv + place_of(s, h, QKV);

            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, CONTEXT, CONTEXT, HEAD_WIDTH, 1, q,
                        QKV, q + WIDTH, QKV, 0, work.scores + scores_of(s, h), CONTEXT);
        }
    const float *dropped = softmax_dropout(&m->sites, SCORES / CONTEXT, CONTEXT,
                                           1 / sqrt(HEAD_WIDTH), work.scores, a->prob);
    for (int s = 0; s < SEQUENCES; s++)
        for (int h = 0; h < HEADS; h++)
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, CONTEXT, HEAD_WIDTH, CONTEXT, 1,
                        dropped + scores_of(s, h), CONTEXT,
                        a->qkv + place_of(s, h, QKV) + 2 * WIDTH, QKV, 0,
                        a->attended + place_of(s, h, WIDTH), WIDTH);
}

/* Computes work.qkv from the gradient of attended, work.branch. */
static void attend_backward(struct model *m)
{
    enum { QKV = 3 * WIDTH };
    const struct activations *a = m->kept;
    const float *dropped = softmax_dropped(&m->sites, SCORES / CONTEXT, CONTEXT, a->prob);

    for (int s = 0; s < SEQUENCES; s++)
        for (int h = 0; h < HEADS; h++) {
            const float *dy = work.branch + place_of(s, h, WIDTH);

            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, CONTEXT, HEAD_WIDTH, CONTEXT, 1,
                        dropped + scores_of(s, h), CONTEXT, dy, WIDTH, 0,
                        work.qkv + place_of(s, h, QKV) + 2 * WIDTH, QKV);
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, CONTEXT, CONTEXT, HEAD_WIDTH, 1,
                        dy, WIDTH, a->qkv + place_of(s, h, QKV) + 2 * WIDTH, QKV, 0,
                        work.scores + scores_of(s, h), CONTEXT);
        }
    softmax_dropout_backward(&m->sites, SCORES / CONTEXT, CONTEXT, 1 / sqrt(HEAD_WIDTH), a->prob,
                             work.scores);
    for (int s = 0; s < SEQUENCES; s++)
        for (int h = 0; h < HEADS; h++) {
            const float *q = a->qkv + place_of(s, h, QKV);
            float *dq = work.qkv + place_of(s, h, QKV);

            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, CONTEXT, HEAD_WIDTH, CONTEXT, 1,
                        work.scores + scores_of(s, h), CONTEXT, q + WIDTH, QKV, 0, dq, QKV);
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, CONTEXT, HEAD_WIDTH, CONTEXT, 1,
                        work.scores + scores_of(s, h), CONTEXT, q, QKV, 0, dq + WIDTH, QKV);
        }
}

static void forward(struct model *m, const unsigned char *character)
{
    struct activations *a = m->kept;

    for (size_t t = 0; t < TOKENS; t++)
        for (size_t c = 0; c < WIDTH; c++)
            a->x[BEFORE_ATTENTION][t * WIDTH + c] = m->token.value[character[t] * WIDTH + c] +
                                                    m->position.value[t % CONTEXT * WIDTH + c];
    normalise(m, BEFORE_ATTENTION);
    multiply(&m->qkv, a->normed[BEFORE_ATTENTION], a->qkv);
    attend(m);
    multiply(&m->project, a->attended, work.branch);
    add_dropout(&m->sites, AFTER_ATTENTION, TOKENS, WIDTH, work.branch, m->project_bias.value,
                a->x[BEFORE_ATTENTION], a->x[BEFORE_MLP]);
    normalise(m, BEFORE_MLP);
    multiply(&m->up, a->normed[BEFORE_MLP], a->hidden);
    gelu_dropout(&m->sites, TOKENS, HIDDEN, a->hidden, m->up_bias.value, a->active);
    multiply(&m->down, a->active, work.branch);
    add_dropout(&m->sites, AFTER_MLP, TOKENS, WIDTH, work.branch, m->down_bias.value,
                a->x[BEFORE_MLP], a->x[BEFORE_OUTPUT]);
    normalise(m, BEFORE_OUTPUT);
    multiply(&m->output, a->normed[BEFORE_OUTPUT], m->logits);
}

/* Returns the mean cross entropy. Replaces the logits by their gradient. */
static double cross_entropy(struct model *m, const unsigned char *next)
{
    const size_t characters = m->output.cols;
    double loss = 0;

    for (size_t t = 0; t < TOKENS; t++) {
        float *row = m->logits + t * characters, largest = row[0];
        const double logit = row[next[t]];
        double sum = 0;

        for (size_t c = 1; c < characters; c++)
            largest = fmaxf(largest, row[c]);
        for (size_t c = 0; c < characters; c++)
            sum += row[c] = expf(row[c] - largest);
        for (size_t c = 0; c < characters; c++)
            row[c] = (float)(row[c] / sum) / tokens;
        row[next[t]] -= 1 / tokens;
        loss += log(sum) + largest - logit;
    }
    return loss / (double)tokens;
}

/* Computes the gradients of all parameters. work.x is the gradient of the residual stream. */
static void backward(struct model *m, const unsigned char *character)
{
    const struct activations *a = m->kept;

    memset(work.x, 0, sizeof work.x);
    multiply_backward(&m->output, a->normed[BEFORE_OUTPUT], m->logits, work.normed);
    normalise_backward(m, BEFORE_OUTPUT);

    add_dropout_backward(&m->sites, AFTER_MLP, TOKENS, WIDTH, work.x, work.branch);
    bias_backward(&m->down_bias, work.branch);
    multiply_backward(&m->down, a->active, work.branch, work.hidden);
    gelu_dropout_backward(&m->sites, TOKENS, HIDDEN, a->hidden, m->up_bias.value, work.hidden);
    bias_backward(&m->up_bias, work.hidden);
    multiply_backward(&m->up, a->normed[BEFORE_MLP], work.hidden, work.normed);
    normalise_backward(m, BEFORE_MLP);

    add_dropout_backward(&m->sites, AFTER_ATTENTION, TOKENS, WIDTH, work.x, work.branch);
    bias_backward(&m->project_bias, work.branch);
    multiply_backward(&m->project, a->attended, work.branch, work.normed);
    memcpy(work.branch, work.normed, sizeof work.branch);
    attend_backward(m);
    multiply_backward(&m->qkv, a->normed[BEFORE_ATTENTION], work.qkv, work.normed);
    normalise_backward(m, BEFORE_ATTENTION);

    memset(m->token.gradient, 0, m->token.rows * WIDTH * sizeof(float));
    memset(m->position.gradient, 0, CONTEXT * WIDTH * sizeof(float));
    for (size_t t = 0; t < TOKENS; t++)
        for (size_t c = 0; c < WIDTH; c++) {
            m->token.gradient[character[t] * WIDTH + c] += work.x[t * WIDTH + c];
            m->position.gradient[t % CONTEXT * WIDTH + c] += work.x[t * WIDTH + c];
        }
}

static void adam(struct tensor *t, const void *step)
{
    const double done = (double)*(const uint64_t *)step + 1, rate = 3e-3;
    const float mean_decay = 0.9F, square_decay = 0.99F;
    const float mean_scale = (float)(rate / (1 - pow(mean_decay, done)));
    const float square_scale = (float)(1 / (1 - pow(square_decay, done)));

    for (size_t i = 0; i < t->rows * t->cols; i++) {
        const float g = t->gradient[i];

        t->mean[i] = mean_decay * t->mean[i] + (1 - mean_decay) * g;
        t->square[i] = square_decay * t->square[i] + (1 - square_decay) * g * g;
        t->value[i] -= mean_scale * t->mean[i] / (sqrtf(square_scale * t->square[i]) + 1e-8F);
    }
}

double model_train(struct model *m, const unsigned char *character, const unsigned char *next)
{
    forward(m, character);
    const double loss = cross_entropy(m, next);
    backward(m, character);
    each_tensor(m, adam, &m->sites.step);
    m->sites.step++;
    return loss;
}

size_t model_kept_dropout_bytes(const struct model *m)
{
    return sizeof m->kept->prob + m->sites.kept_bytes;
}

size_t model_kept_bytes(const struct model *m) { return sizeof *m->kept + m->sites.kept_bytes; }
