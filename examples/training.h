/* SPDX-License-Identifier: Apache-2.0 */
/* What the experiments on digits share: which digits a network learns, and how. */
#ifndef TRAINING_H
#define TRAINING_H

#include "digits_data.h"
#include "mlp.h"

enum { TRAINING = 500, MISLABELED = 100, SEEDS_MAX = 100, EPOCHS_MAX = 10000 };

/* What a seed draws. */
struct draw {
    struct digits training;  /* TRAINING, of which the first MISLABELED have wrong labels */
    struct digits test;      /* the others; in the memory of training, not to be freed */
    unsigned short state[3]; /* of erand48, for what is drawn next */
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
 * A network to be trained on all of `digits`, a multiple of BATCH. What is random comes from the
 * draw, so that the trainings of one draw begin with the same weights and have the same masks.
 */
struct training training_begin(const struct draw *draw, const struct digits *digits,
                               const struct settings *settings);

/* The next epoch: a pure function of what went before, up to the rounding of the BLAS. */
void training_epoch(struct training *t);
void training_end(struct training *t);

/* mlp_test on all of these digits. */
struct score test_on(struct mlp *net, const struct digits *digits);

#endif
