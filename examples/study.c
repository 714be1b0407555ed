/* SPDX-License-Identifier: Apache-2.0 */
#include "study.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "must.h"
#include "report.h"

enum { HELD_OUT = TRAINING / FOLDS };
const double study_decays[DECAYS] = {0.001, 0.003, 0.01};
const uint32_t study_passes[ENSEMBLES] = {0, 1, 3, 10, 30};

/* Lower than in digits.c, because gradients are noisy with a large p, and p = 0.8 should learn. */
static const double rate = 0.03;

/* Number of trainings, for progress(). */
static int done, total;

static void count_trainings(int n)
{
    done += n;
    progress(done, total, "trainings");
}

/* A copy of the training digits. Digits i of the fold, i % FOLDS == fold, are at the end. */
static struct digits hold_out(const struct digits *training, int fold)
{
    struct digits d = digits_copy(training);
    size_t rest = 0, held = TRAINING - HELD_OUT;

    for (size_t i = 0; i < TRAINING; i++) {
        const size_t to = i % FOLDS == (size_t)fold ? held++ : rest++;

        memcpy(d.pixels[to], training->pixels[i], sizeof *d.pixels);
        d.label[to] = training->label[i];
    }
    return d;
}

/* after[e] = score on the digits held out, after e + 1 epochs; a mean over the folds. */
static void cross_validate(const struct draw *draw, const struct settings *settings, int epochs,
                           struct score *after)
{
    for (int fold = 0; fold < FOLDS; fold++) {
        struct digits d = hold_out(&draw->training, fold);
        const struct digits rest = {TRAINING - HELD_OUT, d.pixels, d.label};
        const struct digits held = {HELD_OUT, d.pixels + rest.count, d.label + rest.count};
        struct training t = training_begin(draw, &rest, settings);

        for (int e = 0; e < epochs; e++) {
            training_epoch(&t);
            const struct score s = test_on(&t.net, &held);
            after[e].accuracy += s.accuracy / (double)FOLDS;
            after[e].loss += s.loss / (double)FOLDS;
        }
        training_end(&t);
        digits_free(&d);
    }
}

static int better(struct score a, struct score b)
{
    const double gain = a.accuracy - b.accuracy;

    return fabs(gain) > 1e-9 ? gain > 0 : a.loss < b.loss; /* smaller gains are rounding */
}

static struct trial try_settings(const struct draw *draw, double p, double weight_decay, int epochs)
{
    struct trial trial = {.settings = {.p = p, .rate = rate, .weight_decay = weight_decay}};
    struct score *after = allocate((size_t)epochs, sizeof *after);
    int stop = 0;

    cross_validate(draw, &trial.settings, epochs, after);
    for (int e = 1; e < epochs; e++)
        if (better(after[e], after[stop]))
            stop = e;
    trial.validation = after[epochs - 1];
    free(after);

    struct training t = training_begin(draw, &draw->training, &trial.settings);
    for (int e = 0; e < epochs; e++) {
        training_epoch(&t);
        if (e == stop)
            trial.stopped = (struct outcome){test_on(&t.net, &draw->test), e + 1};
    }
    trial.whole = (struct outcome){test_on(&t.net, &draw->test), epochs};
    training_end(&t);
    count_trainings(FOLDS + 1);
    return trial;
}

/* Index of the trial with the best validation. */
static int best(const struct trial *trials, int n)
{
    int chosen = 0;

    for (int i = 1; i < n; i++)
        if (better(trials[i].validation, trials[chosen].validation))
            chosen = i;
    return chosen;
}

static void find_rate(const struct draw *draw, int epochs, struct finding *f)
{
    for (int i = 0; i < RATES; i++)
        f->rate[i] = try_settings(draw, i / 10.0, 0, epochs);
    f->chosen = best(f->rate, RATES);
}

static struct trial find_decay(const struct draw *draw, double p, int epochs)
{
    struct trial trials[DECAYS];

    for (int i = 0; i < DECAYS; i++)
        trials[i] = try_settings(draw, p, study_decays[i], epochs);
    return trials[best(trials, DECAYS)];
}

static void find_regularisers(const struct draw *draw, int epochs, struct finding *f)
{
    const struct trial *without = &f->rate[0], *with = &f->rate[f->chosen];
    const struct trial decay = find_decay(draw, without->settings.p, epochs);
    const struct trial with_decay = find_decay(draw, with->settings.p, epochs);

    f->row[NOTHING] = without->whole;
    f->row[DECAY] = decay.whole;
    f->row[STOP] = without->stopped;
    f->row[DROPOUT] = with->whole;
    f->row[DROPOUT_DECAY] = with_decay.whole;
    f->row[DROPOUT_STOP] = with->stopped;
    f->row[ALL_THREE] = with_decay.stopped;
}

/* With p = 0.5, because its scales are powers of two, by which a multiplication does not round. */
static void find_scaling(const struct draw *draw, int epochs, struct finding *f)
{
    for (int i = 0; i < SCALINGS; i++) {
        const struct settings settings = {
            .p = 0.5,
            .rate = rate,
            .scaling = i == INVERTED ? BITDROP_SCALE_TRAIN : BITDROP_SCALE_INFER,
        };
        struct training t = training_begin(draw, &draw->training, &settings);

        if (i == CLASSIC_MATCHED)
            mlp_match_inverted(&t.net);
        for (int e = 0; e < epochs; e++)
            training_epoch(&t);
        f->scaling[i] = test_on(&t.net, &draw->test);
        training_end(&t);
    }
    count_trainings(SCALINGS);
}

/* sum[i] has the probabilities of digit i, added up over `passes` passes. */
static struct ensemble score_ensemble(double (*sum)[CLASSES], uint32_t passes,
                                      const struct digits *digits)
{
    const double mistaken = (double)MISLABELED / (double)TRAINING,
                 share = 1 / (double)digits->count;
    struct ensemble e = {0, 0, 0, 0};

    for (size_t i = 0; i < digits->count; i++) {
        int predicted = 0;
        double right = 0, wrong = 0; /* loss of the right label, mean loss of the wrong ones */

        for (int k = 0; k < CLASSES; k++) {
            const double loss = -log(fmax(sum[i][k] / passes, FLT_MIN)); /* softmax may be 0 */

            if (k == digits->label[i])
                right = loss;
            else
                wrong += loss / (double)(CLASSES - 1);
            if (sum[i][k] > sum[i][predicted])
                predicted = k;
        }
        e.accuracy += share * (predicted == digits->label[i]);
        e.confidence += share * sum[i][predicted] / passes;
        e.loss += share * right;
        e.loss_mistaken += share * ((1 - mistaken) * right + mistaken * wrong);
    }
    return e;
}

static void find_ensemble(const struct draw *draw, int epochs, struct finding *f)
{
    const struct digits *digits = &draw->test;
    const float(*x)[PIXELS] = (const float(*)[PIXELS])digits->pixels;
    float(*prob)[CLASSES] = allocate(digits->count, sizeof *prob);
    double(*sum)[CLASSES] = allocate(digits->count, sizeof *sum);
    struct training t = training_begin(draw, &draw->training, &f->rate[f->chosen].settings);

    for (int e = 0; e < epochs; e++)
        training_epoch(&t);
    for (int i = 0, pass = 0; i < ENSEMBLES; pass++) {
        if (pass == 1) /* pass 0 does not belong to an ensemble */
            memset(sum, 0, digits->count * sizeof *sum);
        mlp_predict(&t.net, x, digits->count, (uint32_t)pass, prob);
        for (size_t d = 0; d < digits->count; d++)
            for (int k = 0; k < CLASSES; k++)
                sum[d][k] += prob[d][k];
        if ((uint32_t)pass == study_passes[i])
            f->ensemble[i++] = score_ensemble(sum, pass == 0 ? 1 : (uint32_t)pass, digits);
    }
    training_end(&t);
    free(sum);
    free(prob);
    count_trainings(1);
}

static int write_csv(const struct finding *f, int seeds, const char *path)
{
    FILE *file = fopen(path, "w");

    if (file == NULL) {
        perror(path);
        return 1;
    }
    fputs("seed,p,chosen,validation_accuracy,validation_loss,test_accuracy,test_loss\n", file);
    for (int i = 0; i < seeds * RATES; i++) {
        const struct finding *seed = &f[i / RATES];
        const struct trial *t = &seed->rate[i % RATES];

        fprintf(file, "%d,%.1f,%d,%.6f,%.6f,%.6f,%.6f\n", i / RATES + 1, t->settings.p,
                seed->chosen == i % RATES, t->validation.accuracy, t->validation.loss,
                t->whole.test.accuracy, t->whole.test.loss);
    }
    const int wrong = ferror(file);
    if (fclose(file) == 0 && !wrong)
        return 0;
    perror(path);
    return 1;
}

int study(const struct digits *all, int seeds, int epochs, const char *csv)
{
    struct finding *f = allocate((size_t)seeds, sizeof *f);

    total = seeds * ((RATES + 2 * DECAYS) * (FOLDS + 1) + SCALINGS + 1);
    print_intro(all->count - TRAINING, seeds, epochs);
    fflush(stdout);
    for (int s = 0; s < seeds; s++) {
        struct draw draw = draw_digits(all, (unsigned)s + 1);

        find_rate(&draw, epochs, &f[s]);
        find_regularisers(&draw, epochs, &f[s]);
        find_scaling(&draw, epochs, &f[s]);
        find_ensemble(&draw, epochs, &f[s]);
        draw_free(&draw);
    }
    print_findings(f, seeds);
    print_masks();
    const int status = csv == NULL ? 0 : write_csv(f, seeds, csv);
    free(f);
    return status;
}
