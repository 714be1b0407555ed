/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dropout does for a network that can learn its training set by heart: handwritten digits, 500
 * of them to train on, 100 of those with wrong labels, and the rest to test on.
 */
#define _XOPEN_SOURCE 700
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "digits_data.h"
#include "mlp.h"
#include "seconds.h"

enum { TRAINING = 500, MISLABELED = 100, SEEDS_MAX = 100, EPOCHS_MAX = 10000 };
static const float rate = 0.1F, momentum = 0.9F;

struct run {
    struct score train, test;
    double seconds, dropout_seconds;
    uint64_t mask_hash;
};

static size_t below(unsigned short state[3], size_t n)
{
    return (size_t)(erand48(state) * (double)n);
}

/* Fisher-Yates, of the first n digits. */
static void shuffle(struct digits *d, size_t n, unsigned short state[3])
{
    for (size_t i = n; i > 1; i--) {
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

static struct digits copy(const struct digits *d)
{
    struct digits c = {d->count, malloc(d->count * sizeof *d->pixels), malloc(d->count)};

    if (c.pixels == NULL || c.label == NULL) {
        fputs("digits: out of memory\n", stderr);
        exit(1);
    }
    memcpy(c.pixels, d->pixels, d->count * sizeof *d->pixels);
    memcpy(c.label, d->label, d->count);
    return c;
}

/* A pure function of its arguments, up to the rounding of the BLAS. */
static struct run train(const struct digits *all, double p, unsigned seed, int epochs)
{
    unsigned short state[3] = {0x330E, (unsigned short)seed, (unsigned short)(seed >> 16)};
    struct digits d = copy(all);
    struct mlp net;
    struct run run;

    shuffle(&d, d.count, state);
    for (size_t i = 0; i < MISLABELED; i++)
        d.label[i] = (unsigned char)((d.label[i] + 1 + below(state, CLASSES - 1)) % CLASSES);
    mlp_init(&net, p, seed, state);

    const double start = seconds();
    for (int epoch = 0; epoch < epochs; epoch++) {
        shuffle(&d, TRAINING, state);
        for (size_t i = 0; i < TRAINING; i += BATCH)
            mlp_train(&net, (const float(*)[PIXELS])d.pixels + i, d.label + i, rate, momentum);
    }
    run.seconds = seconds() - start;
    run.dropout_seconds = net.dropout_seconds;
    run.mask_hash = net.mask_hash;
    run.train = mlp_test(&net, (const float(*)[PIXELS])d.pixels, d.label, TRAINING);
    run.test = mlp_test(&net, (const float(*)[PIXELS])d.pixels + TRAINING, d.label + TRAINING,
                        d.count - TRAINING);
    mlp_free(&net);
    digits_free(&d);
    return run;
}

/* "mean +- standard deviation" of one number of the runs, at a place in struct run. */
static void print_spread(const struct run *runs, int n, size_t place)
{
    double sum = 0, squares = 0;

    for (int i = 0; i < n; i++)
        sum += *(const double *)(const void *)((const char *)&runs[i] + place);
    for (int i = 0; i < n; i++) {
        const double d = *(const double *)(const void *)((const char *)&runs[i] + place) - sum / n;
        squares += d * d;
    }
    printf("  %.3f +- %.3f", sum / n, n > 1 ? sqrt(squares / (n - 1)) : 0);
}

static void report(const char *name, const struct run *runs, int n)
{
    printf("%-16s", name);
    print_spread(runs, n, offsetof(struct run, train.accuracy));
    print_spread(runs, n, offsetof(struct run, test.accuracy));
    print_spread(runs, n, offsetof(struct run, test.loss));
    putchar('\n');
}

/* Progress, on one line of a terminal. */
static void progress(int done, int total)
{
    fprintf(stderr, isatty(STDERR_FILENO) ? "\r%d of %d runs%s" : "%d of %d runs%s", done, total,
            done == total || !isatty(STDERR_FILENO) ? "\n" : "");
    fflush(stderr);
}

static void experiment(const struct digits *d, double p, int seeds, int epochs)
{
    static struct run without[SEEDS_MAX], with[SEEDS_MAX];
    double total = 0, dropout = 0;
    uint64_t hash = 0;

    for (int s = 0; s < seeds; s++) {
        without[s] = train(d, 0, (unsigned)s + 1, epochs);
        progress(2 * s + 1, 2 * seeds);
        with[s] = train(d, p, (unsigned)s + 1, epochs);
        progress(2 * s + 2, 2 * seeds);
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

/* A whole number from 1 to most, or -1. */
static int parse_count(const char *text, int most)
{
    char *end;
    const long value = strtol(text, &end, 10);

    return end != text && *end == '\0' && value >= 1 && value <= most ? (int)value : -1;
}

static int usage(void)
{
    fputs("usage: digits [--seeds=N] [--epochs=N] [--p=P] [digits.csv.gz]\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 's'},
                                            {"epochs", required_argument, NULL, 'e'},
                                            {"p", required_argument, NULL, 'p'},
                                            {NULL, 0, NULL, 0}};
    int seeds = 5, epochs = 60, option;
    double p = 0.5;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            seeds = parse_count(optarg, SEEDS_MAX);
        else if (option == 'e')
            epochs = parse_count(optarg, EPOCHS_MAX);
        else if (option == 'p')
            p = strtod(optarg, NULL);
        else
            return usage();
    }
    if (seeds < 0 || epochs < 0 || !(p > 0 && p < 1) || optind + 1 < argc)
        return usage();
    if (bitdrop_isa_default() == BITDROP_ISA_AUTO) {
        fprintf(stderr, "digits: %s\n", bitdrop_status_string(BITDROP_ERR_ISA));
        return 1;
    }

    const char *path = optind < argc ? argv[optind] : DIGITS_FILE;
    struct digits d = digits_read(path, 2 * TRAINING);
    experiment(&d, p, seeds, epochs);
    digits_free(&d);
    return 0;
}
