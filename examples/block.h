/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A language model with one transformer block (Vaswani et al. 2017), with layer normalisation
 * before attention and before the MLP. It learns to predict the next character of a text.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "dropout_sites.h"

enum {
    SEQUENCES = 8, /* in a batch */
    CONTEXT = 64,  /* characters in a sequence */
    WIDTH = 64,
    HEADS = 4,
    HEAD_WIDTH = WIDTH / HEADS,
    HIDDEN = 4 * WIDTH,
    TOKENS = SEQUENCES * CONTEXT,
    SCORES = TOKENS * HEADS * CONTEXT
};

/* Parameters, rows x cols: their values, gradients, and the two averages of Adam. */
struct tensor {
    size_t rows, cols;
    float *value, *gradient, *mean, *square;
};

enum norm { BEFORE_ATTENTION, BEFORE_MLP, BEFORE_OUTPUT, NORMS };

struct model {
    struct tensor token, position; /* a row for each character, and for each position */
    struct tensor gain[NORMS], shift[NORMS];
    struct tensor qkv, project, project_bias, up, up_bias, down, down_bias, output;
    struct sites sites;
    struct activations *kept;
    float *logits; /* TOKENS x characters */
};

/* Draws the weights by erand48 from state. */
void model_init(struct model *m, size_t characters, double p, bool fused, uint64_t seed,
                unsigned short state[3]);
void model_free(struct model *m);

/*
 * Takes one step of Adam (Kingma, Ba, 2015) on TOKENS characters. next[i] follows character[i];
 * both are indices of the alphabet. Returns the cross entropy, in nats for a character.
 */
double model_train(struct model *m, const unsigned char *character, const unsigned char *next);

/* Bytes that a step keeps for its backward pass: probabilities and masks alone, and in all. */
size_t model_kept_dropout_bytes(const struct model *m);
size_t model_kept_bytes(const struct model *m);

#endif
