/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the experiments on digits: which digits a network learns, and how. */
#ifndef TRAINING_H
#define TRAINING_H

#include "digits_data.h"
#include "mlp.h"

enum { TRAINING = 500, MISLABELED = 100, SEEDS_MAX = 100, EPOCHS_MAX = 10000 };

/* The choices of a seed. */
struct draw {
    struct digits training;  /* TRAINING digits. The first MISLABELED have wrong labels */
    struct digits test;      /* the others; they share the memory of training: do not free them */
    unsigned short state[3]; /* of erand48, for weights and the order of digits */
    unsigned seed;
};

struct draw draw_digits(const struct digits *all, unsigned seed);
void draw_free(struct draw *draw);

struct settings {
    double p, rate, weight_decay;
    uint8_t scaling; /* BITDROP_SCALE_TRAIN or BITDROP_SCALE_INFER */
};

struct training {
    struct mlp net;
    struct sgd sgd;
    struct digits digits; /* in the order of the last epoch */
    unsigned short state[3];
};

/*
 * Makes a network to train on `digits`, whose number is a multiple of BATCH. All random choices
 * come from the draw, so all trainings of one draw begin with the same weights and have the same
 * masks.
 */
struct training training_begin(const struct draw *draw, const struct digits *digits,
                               const struct settings *settings);

/* Trains for one epoch. Only the rounding of the BLAS may differ when it is repeated. */
void training_epoch(struct training *t);
void training_end(struct training *t);

/* mlp_test on all of these digits. */
struct score test_on(struct mlp *net, const struct digits *digits);

#endif
