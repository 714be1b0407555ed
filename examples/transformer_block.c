/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transformer block learns the characters of a text, twice: with dropout fused with the
 * operations beside it, and in separate passes over memory. The losses are the same, to the bit.
 *
 * usage: transformer_block [--steps=N] [--p=P] [text]
 */
#define _XOPEN_SOURCE 700
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "must.h"
#include "seconds.h"

enum { STEPS_MAX = 100000, TEXT_MAX = 16 << 20 };

/* A text. character[i] is the index of a character in the alphabet, below `characters`. */
struct text {
    unsigned char *character;
    size_t length, characters;
};

struct result {
    double *loss; /* of each step */
    double seconds, dropout_seconds;
    size_t kept, kept_dropout;
};

static void give_up(const char *path, const char *why)
{
    fprintf(stderr, "transformer_block: %s: %s\n", path, why);
    exit(1);
}

static struct text read_text(const char *path)
{
    struct text t = {allocate(TEXT_MAX, 1), 0, 0};
    FILE *file = fopen(path, "rb");
    unsigned char number[256];
    bool used[256] = {false};

    if (file == NULL)
        give_up(path, "cannot be opened");
    t.length = fread(t.character, 1, TEXT_MAX, file);
    if (ferror(file))
        give_up(path, "cannot be read");
    if (t.length < 2 * CONTEXT)
        give_up(path, "is shorter than two sequences");
    fclose(file);
    for (size_t i = 0; i < t.length; i++)
        used[t.character[i]] = true;
    for (int c = 0; c < 256; c++)
        if (used[c])
            number[c] = (unsigned char)t.characters++;
    for (size_t i = 0; i < t.length; i++)
        t.character[i] = number[t.character[i]];
    return t;
}

/* Trains a model. Except for the times, the result depends only on the arguments. */
static struct result train(const struct text *text, double p, bool fused, int steps)
{
    unsigned short state[3] = {0x330E, 42, 0};
    struct result result = {.loss = allocate((size_t)steps, sizeof *result.loss)};
    struct model m;

    model_init(&m, text->characters, p, fused, 42, state);
    const double start = seconds();
    for (int step = 0; step < steps; step++) {
        unsigned char character[TOKENS], next[TOKENS];

        for (int s = 0; s < SEQUENCES; s++) {
            const size_t at = (size_t)(erand48(state) * (double)(text->length - CONTEXT));

            memcpy(character + s * CONTEXT, text->character + at, CONTEXT);
            memcpy(next + s * CONTEXT, text->character + at + 1, CONTEXT);
        }
        result.loss[step] = model_train(&m, character, next);
    }
    result.seconds = seconds() - start;
    result.dropout_seconds = m.sites.seconds;
    result.kept = model_kept_bytes(&m);
    result.kept_dropout = model_kept_dropout_bytes(&m);
    model_free(&m);
    return result;
}

static double mean(const double *x, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum / n;
}

static void print_table(const struct result *fused, const struct result *separate, int steps)
{
    const int tenth = steps < 10 ? 1 : steps / 10;

    printf("\n%-42s %12s %12s\n", "", "fused", "separate");
    printf("%-42s %12.4f %12.4f\n", "loss of the first step, nats/character", fused->loss[0],
           separate->loss[0]);
    printf("%-42s %12.4f %12.4f\n", "mean loss of the last tenth of the steps",
           mean(fused->loss + steps - tenth, tenth), mean(separate->loss + steps - tenth, tenth));
    printf("%-42s %12.1f %12.1f\n", "softmax, GELU, additions and dropout, us",
           1e6 * fused->dropout_seconds / steps, 1e6 * separate->dropout_seconds / steps);
    printf("%-42s %12.1f %12.1f\n", "one step, us", 1e6 * fused->seconds / steps,
           1e6 * separate->seconds / steps);
    printf("%-42s %12zu %12zu\n", "kept probabilities and masks, bytes", fused->kept_dropout,
           separate->kept_dropout);
    printf("%-42s %12zu %12zu\n", "kept in all, bytes", fused->kept, separate->kept);
}

/* The number in text, or NAN if text is anything else. */
static double parse(const char *text)
{
    char *end;
    const double value = strtod(text, &end);

    return end != text && *end == '\0' ? value : NAN;
}

static int usage(void)
{
    fputs("usage: transformer_block [--steps=N] [--p=P] [text]\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"steps", required_argument, NULL, 's'},
                                            {"p", required_argument, NULL, 'p'},
                                            {NULL, 0, NULL, 0}};
    const char *path = TEXT_FILE;
    double steps = 300, p = 0.1;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            steps = parse(optarg);
        else if (option == 'p')
            p = parse(optarg);
        else
            return usage();
    }
    if (!(steps >= 1 && steps <= (double)STEPS_MAX && steps == floor(steps)) ||
        !(p >= 0 && p < 1) || optind + 1 < argc)
        return usage();
    if (optind < argc)
        path = argv[optind];

    if (bitdrop_isa_default() == BITDROP_ISA_AUTO)
        give_up("BITDROP_ISA", bitdrop_status_string(BITDROP_ERR_ISA));

    const struct text text = read_text(path);
    printf("%s: %zu characters, %zu different ones; %g steps of %d sequences of %d, p = %g\n", path,
           text.length, text.characters, steps, SEQUENCES, CONTEXT, p);
    const struct result fused = train(&text, p, true, (int)steps);
    const struct result separate = train(&text, p, false, (int)steps);
    print_table(&fused, &separate, (int)steps);

    const bool same = memcmp(fused.loss, separate.loss, (size_t)steps * sizeof(double)) == 0;
    printf("all losses are the same, to the bit: %s\n", same ? "yes" : "NO");
    free(text.character);
    free(fused.loss);
    free(separate.loss);
    return same ? 0 : 1;
}
