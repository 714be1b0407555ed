/* SPDX-License-Identifier: Apache-2.0 */
/* What dropout does, in five parts. docs/study.md has the results. */
#ifndef STUDY_H
#define STUDY_H

#include "training.h"

enum { FOLDS = 5, RATES = 9, DECAYS = 3, ENSEMBLES = 5 };
extern const double study_decays[DECAYS];
extern const uint32_t study_passes[ENSEMBLES]; /* 0: one pass that drops nothing */

/* What a network that learned all training digits makes of those to test on. */
struct outcome {
    struct score test;
    double epochs;
};

/* Settings, what cross-validation says of them, and what becomes of them. */
struct trial {
    struct settings settings;
    struct score validation;       /* after the last epoch, a mean over the folds */
    struct outcome whole, stopped; /* stopped: after the epoch of the best validation */
};

enum row { NOTHING, DECAY, STOP, DROPOUT, DROPOUT_DECAY, DROPOUT_STOP, ALL_THREE, ROWS };
enum scaling { INVERTED, CLASSIC_MATCHED, CLASSIC, SCALINGS };

struct ensemble {
    double accuracy;
    double confidence;    /* mean probability of the class that is named, right or wrong */
    double loss;          /* on right labels */
    double loss_mistaken; /* expected, on labels that are as often wrong as those learned */
};

/* What one seed finds. */
struct finding {
    struct trial rate[RATES]; /* p = 0, 0.1, ... without weight decay */
    int chosen;               /* of these */
    struct outcome row[ROWS];
    struct score scaling[SCALINGS];
    struct ensemble ensemble[ENSEMBLES];
};

/*
 * Trains, and prints all parts. `csv`, unless NULL, gets the figures of the first part, a line for
 * each seed and p. Returns 0, or 1 if that file cannot be written.
 */
int study(const struct digits *all, int seeds, int epochs, const char *csv);

/* The text, once everything is found. */
void print_intro(size_t tested, int seeds, int epochs);
void print_findings(const struct finding *f, int seeds);

/* The last part: which elements are dropped together. */
void print_masks(void);

#endif
