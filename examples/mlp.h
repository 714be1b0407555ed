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
    uint8_t *mask;                   /* of output, 1 bit an element; hidden layers only */
};

struct mlp {
    struct layer layer[LAYERS];
    bitdrop_config dropout; /* p = 0: no dropout at all */
    uint64_t step;
    double dropout_seconds;
    uint64_t mask_hash; /* FNV-1a over all masks made: equal on every machine */
};

/* Weights from U(-1/sqrt(in), 1/sqrt(in)), drawn by erand48 from state. */
void mlp_init(struct mlp *net, double p, uint64_t seed, unsigned short state[3]);
void mlp_free(struct mlp *net);

/* One step on BATCH inputs. */
void mlp_train(struct mlp *net, const float (*x)[PIXELS], const unsigned char *label, float rate,
               float momentum);

struct score {
    double accuracy, loss;
};

/* At inference: nothing is dropped. */
struct score mlp_test(struct mlp *net, const float (*x)[PIXELS], const unsigned char *label,
                      size_t n);

/* Bytes of the masks that one training step keeps for its backward pass. */
size_t mlp_mask_bytes(void);

#endif
