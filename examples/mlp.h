/* SPDX-License-Identifier: Apache-2.0 */
/* A 64-256-256-10 ReLU network, dropout after each hidden layer, trained by SGD with momentum. */
#ifndef MLP_H
#define MLP_H

#include <bitdrop/bitdrop.h>
#include <stddef.h>
#include <stdint.h>

#include "digits_data.h"

enum { LAYERS = 3, HIDDEN = 256, BATCH = 50 };

struct layer {
    int in, out;
    float *weight, *weight_velocity; /* out x in */
    float *bias, *bias_velocity;     /* out */
    float *output, *gradient;        /* BATCH x out */
    uint8_t *mask;                   /* of output, a bit for each element; in hidden layers */
    float rate;                      /* factor of the learning rate of weights; usually 1 */
};

struct mlp {
    struct layer layer[LAYERS];
    bitdrop_config dropout; /* p = 0: no dropout at all */
    uint64_t step;
    double dropout_seconds;
    uint64_t mask_hash; /* FNV-1a of all masks: the same on every machine */
};

/*
 * Draws weights from U(-1/sqrt(in), 1/sqrt(in)) by erand48 from state. Reads p, seed and scaling of
 * `dropout`.
 */
void mlp_init(struct mlp *net, const bitdrop_config *dropout, unsigned short state[3]);
void mlp_free(struct mlp *net);

/*
 * For a network with BITDROP_SCALE_INFER, before its first step. Then it computes the same as a
 * network with BITDROP_SCALE_TRAIN. The weights after a dropout compensate for the missing scale:
 * they begin 1/(1-p) times as large, and their learning rate is 1/(1-p)^2 times as large.
 */
void mlp_match_inverted(struct mlp *net);

struct sgd {
    float rate, momentum, weight_decay; /* weight_decay * weight is added to a weight's gradient */
};

/* One step on BATCH inputs. */
void mlp_train(struct mlp *net, const float (*x)[PIXELS], const unsigned char *label,
               const struct sgd *sgd);

struct score {
    double accuracy; /* share of the inputs whose most probable class is their label */
    double loss;     /* mean negative log likelihood of the label, in nats */
};

/* Inference, which drops nothing. */
struct score mlp_test(struct mlp *net, const float (*x)[PIXELS], const unsigned char *label,
                      size_t n);

/*
 * Writes the probabilities of one pass to prob. Pass 0 drops nothing, as mlp_test. Passes 1, 2, …
 * drop hidden units as training does. Each pass has streams of its own, so that the masks of passes
 * are independent. A repeated pass has the same masks.
 */
void mlp_predict(struct mlp *net, const float (*x)[PIXELS], size_t n, uint32_t pass,
                 float (*prob)[CLASSES]);

/* Bytes of the masks that one training step keeps for its backward pass. */
size_t mlp_mask_bytes(void);

#endif
