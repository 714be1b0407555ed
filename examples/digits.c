/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows what dropout does for a network that can learn its training set by heart. The data are
 * handwritten digits: 500 to train on, of which 100 have wrong labels, and the others to test on.
 */
#define _XOPEN_SOURCE 700
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "report.h"
#include "seconds.h"
#include "study.h"
#include "training.h"

struct result {
    struct score train, test;
    double seconds, dropout_seconds;
    uint64_t mask_hash;
};

static struct result train(const struct digits *all, double p, unsigned seed, int epochs)
{
    const struct settings settings = {.p = p, .rate = 0.1};
    struct draw draw = draw_digits(all, seed);
    struct training t = training_begin(&draw, &draw.training, &settings);
    struct result result;

    const double start = seconds();
    for (int epoch = 0; epoch < epochs; epoch++)
        training_epoch(&t);
    result.seconds = seconds() - start;
    result.dropout_seconds = t.net.dropout_seconds;
    result.mask_hash = t.net.mask_hash;
    result.train = test_on(&t.net, &draw.training);
    result.test = test_on(&t.net, &draw.test);
    training_end(&t);
    draw_free(&draw);
    return result;
}

static void report(const char *name, const struct result *results, int n)
{
    printf("%-16s", name);
    print_spread(&results->train.accuracy, sizeof *results, n);
    print_spread(&results->test.accuracy, sizeof *results, n);
    print_spread(&results->test.loss, sizeof *results, n);
    putchar('\n');
}

static void experiment(const struct digits *d, double p, int seeds, int epochs)
{
    static struct result without[SEEDS_MAX], with[SEEDS_MAX];
    double total = 0, dropout = 0;
    uint64_t hash = 0;

    for (int s = 0; s < seeds; s++) {
        without[s] = train(d, 0, (unsigned)s + 1, epochs);
        progress(2 * s + 1, 2 * seeds, "trainings");
        with[s] = train(d, p, (unsigned)s + 1, epochs);
        progress(2 * s + 2, 2 * seeds, "trainings");
        total += with[s].seconds;
        dropout += with[s].dropout_seconds;
        hash ^= with[s].mask_hash;
    }
    printf(
        "\n%d digits to train on, %d of them mislabeled, %zu to test on; %d seeds, %d epochs\n\n",
        TRAINING, MISLABELED, d->count - TRAINING, seeds, epochs);
    printf("%-16s  %-14s  %-14s  %-14s\n", "", "train accuracy", "test accuracy", "test loss");
    report("without dropout", without, seeds);
    char name[32];
    snprintf(name, sizeof name, "dropout p = %g", p);
    report(name, with, seeds);

    printf("\nmasks kept for a step's backward pass: %zu bytes (as bytes %zu, as floats %zu)\n",
           mlp_mask_bytes(), 8 * mlp_mask_bytes(), 32 * mlp_mask_bytes());
    printf("hash of all masks, the same on every machine: %016" PRIx64 "\n", hash);
    printf("dropout took %.1f %% of the training time, on %s\n", 100 * dropout / total,
           bitdrop_isa_name(bitdrop_isa_default()));
}

/* The integer from 1 to `most` in text, or -1 if text is anything else. */
static int parse_count(const char *text, int most)
{
    char *end;
    const long value = strtol(text, &end, 10);

    return end != text && *end == '\0' && value >= 1 && value <= most ? (int)value : -1;
}

static int usage(void)
{
    fputs("usage: digits [--seeds=N] [--epochs=N] [--p=P] [digits.csv.gz]\n"
          "       digits --study [--seeds=N] [--epochs=N] [--csv=FILE] [digits.csv.gz]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"study", no_argument, NULL, 'S'},        {"seeds", required_argument, NULL, 's'},
        {"epochs", required_argument, NULL, 'e'}, {"p", required_argument, NULL, 'p'},
        {"csv", required_argument, NULL, 'c'},    {NULL, 0, NULL, 0}};
    int seeds = 5, epochs = 60, option;
    bool wants_study = false, wants_p = false;
    double p = 0.5;
    const char *csv = NULL;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'S')
            wants_study = true;
        else if (option == 's')
            seeds = parse_count(optarg, SEEDS_MAX);
        else if (option == 'e')
            epochs = parse_count(optarg, EPOCHS_MAX);
        else if (option == 'p')
            wants_p = true, p = strtod(optarg, NULL);
        else if (option == 'c')
            csv = optarg;
        else
            return usage();
    }
    if (seeds < 0 || epochs < 0 || !(p > 0 && p < 1) || optind + 1 < argc)
        return usage();
    if (wants_study ? wants_p : csv != NULL)
        return usage();
    if (bitdrop_isa_default() == BITDROP_ISA_AUTO) {
        fprintf(stderr, "digits: %s\n", bitdrop_status_string(BITDROP_ERR_ISA));
        return 1;
    }

    const char *path = optind < argc ? argv[optind] : DIGITS_FILE;
    struct digits d = digits_read(path, 2 * TRAINING);
    int status = 0;
    if (wants_study)
        status = study(&d, seeds, epochs, csv);
    else
        experiment(&d, p, seeds, epochs);
    digits_free(&d);
    return status;
}
