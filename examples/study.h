/* SPDX-License-Identifier: Apache-2.0 */
/* A study of dropout, in five parts. docs/study.md has the results. */
#ifndef STUDY_H
#define STUDY_H

#include "training.h"

enum { FOLDS = 5, RATES = 9, DECAYS = 3, ENSEMBLES = 5 };
extern const double study_decays[DECAYS];
extern const uint32_t study_passes[ENSEMBLES]; /* 0: one pass that drops nothing */

/* Score of a network on the test digits, after it has learned all training digits. */
struct outcome {
    struct score test;
    double epochs;
};

/* Settings, their score by cross-validation, and their outcome on the test digits. */
struct trial {
    struct settings settings;
    struct score validation;       /* after the last epoch, a mean over the folds */
    struct outcome whole, stopped; /* after all epochs, and after that of the best validation */
};

enum row { NOTHING, DECAY, STOP, DROPOUT, DROPOUT_DECAY, DROPOUT_STOP, ALL_THREE, ROWS };
enum scaling { INVERTED, CLASSIC_MATCHED, CLASSIC, SCALINGS };

struct ensemble {
    double accuracy;
    double confidence;    /* mean probability of the predicted class, right or wrong */
    double loss;          /* for right labels */
    double loss_mistaken; /* expected for labels that are wrong as often as in training */
};

/* The results of one seed. */
struct finding {
    struct trial rate[RATES]; /* p = 0, 0.1, ... without weight decay */
    int chosen;               /* index in rate */
    struct outcome row[ROWS];
    struct score scaling[SCALINGS];
    struct ensemble ensemble[ENSEMBLES];
};

/*
 * Trains, and prints all parts. If `csv` is not NULL, writes the figures of the first part to this
 * file, a line for each seed and p. Returns 0, or 1 if the file cannot be written.
 */
int study(const struct digits *all, int seeds, int epochs, const char *csv);

/* These print the text: before the trainings, and after all of them. */
void print_intro(size_t tested, int seeds, int epochs);
void print_findings(const struct finding *f, int seeds);

/* The last part: which elements are dropped together. */
void print_masks(void);

#endif
