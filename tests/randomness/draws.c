/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of decisions about rows and matrices, and of Gaussian noise. */
#include "battery.h"

#include <math.h>
#include <stdlib.h>

enum { SEED = 1126, STREAM = 77 };

static void add_units(struct battery *b, const char *test, const struct units *u, size_t n)
{
    const bitdrop_config cfg = {.p = 0.3, .seed = SEED + u->columns, .stream = STREAM};
    bitdrop_config neighbour = cfg;
    uint64_t *units = allocate(n / 8), *other = allocate(n / 8);

    if (!source_units(b->source, &cfg, u, n, units))
        battery_add(b, test, "elements that share a decision", n, 0);
    battery_bits(b, test, units, n, 1 - cfg.p);
    for (size_t lag = u->columns - 2; lag <= u->columns + 2 && !u->each_row; lag++)
        battery_add(b, test, "elements above, and beside it", n,
                    p_of_normal(bits_covariance(units, units, n, lag, 1 - cfg.p)));
    neighbour.stream++;
    source_units(b->source, &neighbour, u, n, other);
    battery_add(b, test, "the next stream", n,
                p_of_normal(bits_covariance(units, other, n, 0, 1 - cfg.p)));
    free(units);
    free(other);
}

void part_units(struct battery *b)
{
    const size_t n = battery_size(b, 23);

    add_units(b, "2-D", &(struct units){.columns = 1000, .repeat = 1, .pitch = 1029}, n);
    add_units(b, "shared", &(struct units){.columns = 777, .repeat = 3, .pitch = 777}, n);
    add_units(b, "row-wise", &(struct units){.columns = 3, .repeat = 1, .each_row = true}, n);
    add_units(b, "row-wise, shared", &(struct units){.columns = 2, .repeat = 2, .each_row = true},
              n);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The p-value of Kolmogorov and Smirnov against the normal distribution. Sorts the sample. */
static double p_of_distance_to_normal(double *sample, size_t n)
{
    double most = 0;

    qsort(sample, n, sizeof *sample, compare);
    for (size_t i = 0; i < n; i++) {
        const double phi = erfc(-sample[i] * sqrt(0.5)) / 2;

        most = fmax(most, fmax(phi - (double)i / (double)n, (double)(i + 1) / (double)n - phi));
    }
    return p_of_ks(most, (double)n);
}

/* Sums of powers, divided by their standard deviations, which are known for a normal number. */
static void add_moments(struct battery *b, const char *test, const double *x, size_t n)
{
    static const double mean[] = {0, 1, 0, 3}, variance[] = {1, 2, 15, 96};
    double sums[4] = {0};

    for (size_t i = 0; i < n; i++) {
        double power = 1;

        for (size_t k = 0; k < 4; k++)
            sums[k] += (power *= x[i]) - mean[k];
    }
    for (size_t k = 0; k < 4; k++)
        battery_add(b, test, "moments 1 to 4", n,
                    p_of_normal(sums[k] / sqrt(variance[k] * (double)n)));
}

static void add_tails(struct battery *b, const char *test, const double *x, size_t n)
{
    for (int bound = 1; bound <= 6; bound++) {
        uint64_t beyond[2] = {0};

        for (size_t i = 0; i < n; i++) {
            beyond[0] += x[i] < -bound;
            beyond[1] += x[i] > bound;
        }
        for (size_t side = 0; side < 2; side++)
            battery_add(b, test, "tails beyond 1 to 6", n,
                        p_of_binomial(n, erfc(bound * sqrt(0.5)) / 2, beyond[side]));
    }
}

/* Tests the correlation of numbers, and of their squares. */
static void add_products(struct battery *b, const char *test, const char *what, const double *x,
                         const double *y, size_t n)
{
    double sum = 0, of_squares = 0;

    for (size_t i = 0; i < n; i++) {
        sum += x[i] * y[i];
        of_squares += (x[i] * x[i] - 1) * (y[i] * y[i] - 1);
    }
    battery_add(b, test, what, n, p_of_normal(sum / sqrt((double)n)));
    battery_add(b, test, what, n, p_of_normal(of_squares / 2 / sqrt((double)n)));
}

static void add_noise(struct battery *b, const char *test, bitdrop_config cfg, bool each_row,
                      size_t n)
{
    double *x = allocate(n * sizeof *x), *y = allocate(n * sizeof *y);

    source_noise(b->source, &cfg, each_row, n, x);
    add_moments(b, test, x, n);
    add_tails(b, test, x, n);
    for (size_t lag = 1; lag <= 64; lag++)
        add_products(b, test, "lags 1 to 64", x, x + lag, n - lag);
    for (unsigned k = 0; k < 4; k++) {
        bitdrop_config neighbour = cfg;

        neighbour.seed += k == 0 ? 1 : k == 1 ? UINT64_C(1) << 32 : 0;
        neighbour.stream += k == 2;
        neighbour.offset += k == 3 ? UINT64_C(1) << 38 : 0;
        source_noise(b->source, &neighbour, each_row, n, y);
        add_products(b, test, "neighbours", x, y, n);
    }
    battery_add(b, test, "Kolmogorov and Smirnov", n, p_of_distance_to_normal(x, n));
    free(x);
    free(y);
}

void part_noise(struct battery *b)
{
    const bitdrop_config ten = {.seed = SEED, .stream = STREAM};
    const bitdrop_config seven = {.seed = SEED, .stream = STREAM, .rounds = 7};
    const bitdrop_config rows = {.seed = SEED + 2, .stream = STREAM};

    add_noise(b, "noise", ten, false, battery_size(b, 24));
    add_noise(b, "noise", seven, false, battery_size(b, 24));
    add_noise(b, "row-wise noise", rows, true, battery_size(b, 22));
}
