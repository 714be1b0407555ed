/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "training.h"

#include <stdlib.h>
#include <string.h>

static size_t below(unsigned short state[3], size_t n)
{
    return (size_t)(erand48(state) * (double)n);
}

/* Fisher-Yates. */
static void shuffle(struct digits *d, unsigned short state[3])
{
    for (size_t i = d->count; i > 1; i--) {
        const size_t j = below(state, i);
        const unsigned char label = d->label[i - 1];
        float pixels[PIXELS];

        memcpy(pixels, d->pixels[i - 1], sizeof pixels);
        memmove(d->pixels[i - 1], d->pixels[j], sizeof pixels);
        memcpy(d->pixels[j], pixels, sizeof pixels);
        d->label[i - 1] = d->label[j];
        d->label[j] = label;
    }
}

struct draw draw_digits(const struct digits *all, unsigned seed)
{
    struct digits d = digits_copy(all);
    struct draw draw = {
        .training = {TRAINING, d.pixels, d.label},
        .test = {d.count - TRAINING, d.pixels + TRAINING, d.label + TRAINING},
        .state = {0x330E, (unsigned short)seed, (unsigned short)(seed >> 16)},
        .seed = seed,
    };

    shuffle(&d, draw.state);
    for (size_t i = 0; i < MISLABELED; i++)
        d.label[i] = (unsigned char)((d.label[i] + 1 + below(draw.state, CLASSES - 1)) % CLASSES);
    return draw;
}

void draw_free(struct draw *draw) { digits_free(&draw->training); }

struct training training_begin(const struct draw *draw, const struct digits *digits,
                               const struct settings *settings)
{
    const bitdrop_config dropout = {
        .p = settings->p, .seed = draw->seed, .scaling = settings->scaling};
    struct training t = {
        .sgd = {(float)settings->rate, 0.9F, (float)settings->weight_decay},
        .digits = digits_copy(digits),
    };

    memcpy(t.state, draw->state, sizeof t.state);
    mlp_init(&t.net, &dropout, t.state);
    return t;
}

void training_epoch(struct training *t)
{
    const struct digits *d = &t->digits;

    shuffle(&t->digits, t->state);
    for (size_t i = 0; i < d->count; i += BATCH)
        mlp_train(&t->net, (const float(*)[PIXELS])d->pixels + i, d->label + i, &t->sgd);
}

void training_end(struct training *t)
{
    mlp_free(&t->net);
    digits_free(&t->digits);
}

struct score test_on(struct mlp *net, const struct digits *digits)
{
    return mlp_test(net, (const float(*)[PIXELS])digits->pixels, digits->label, digits->count);
}
