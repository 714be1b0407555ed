/* SPDX-License-Identifier: Apache-2.0 */
/* Computes p-values, and collects them in a table. */
#ifndef BITDROP_TESTS_RANDOMNESS_BATTERY_H
#define BITDROP_TESTS_RANDOMNESS_BATTERY_H

#include "source.h"

/*
 * No p-value may be below BOUND. A run has at most MOST_P_VALUES of them, which the program checks.
 * So a good generator fails with a probability below the product of both, 1 in 10,000 (Bonferroni).
 * Seeds are fixed, so a run that passes once will always pass.
 */
#define BOUND 1e-9
enum { MOST_P_VALUES = 100000, MOST_ROWS = 64 };

struct row {
    const char *test, *what;
    unsigned log2_size;
    size_t p_values;
    double least;
};

struct battery {
    enum source source;
    unsigned most; /* log2 of the largest size */
    struct row rows[MOST_ROWS];
    size_t row_count;
};

/* 2^log2, or the largest size of this battery if that is less. */
size_t battery_size(const struct battery *b, unsigned log2);

/* Adds a p-value, on n elements, to the row of `test` and `what`. A NaN counts as 0. */
void battery_add(struct battery *b, const char *test, const char *what, size_t n, double p_value);

/* X(part, what it tests) */
#define PARTS(X)                                                                                   \
    X(ladder, "keep frequencies at many thresholds")                                               \
    X(pairs, "masks of neighbouring seeds, streams, offsets and rounds")                           \
    X(streams, "each output bit, between neighbouring streams")                                    \
    X(words, "words of 16 bits, and lags")                                                         \
    X(late, "late planes")                                                                         \
    X(units, "row-wise, shared and 2-D decisions")                                                 \
    X(noise, "Gaussian noise")
#define DECLARE_PART(name, what) void part_##name(struct battery *b);
PARTS(DECLARE_PART)
#undef DECLARE_PART

/* Two-sided p-values. */
double p_of_normal(double z);
double p_of_chi_square(double x, double freedom); /* at least 100 degrees of freedom */
double p_of_binomial(uint64_t n, double p, uint64_t successes); /* exact */
double p_of_ks(double distance, double n); /* of Kolmogorov and Smirnov; this one is one-sided */

/* How many of n bits are 1. */
uint64_t bits_count(const uint64_t *bits, size_t n);

/* How many of the bits a[i] ^ b[i + lag] are 1, for i < n - lag. */
uint64_t bits_xor_count(const uint64_t *a, const uint64_t *b, size_t n, size_t lag);

/* The sum of (a[i] - keep) * (b[i + lag] - keep), divided by its standard deviation. `keep` is the
 * probability of a 1. */
double bits_covariance(const uint64_t *a, const uint64_t *b, size_t n, size_t lag, double keep);

/* Tests one sequence of keep bits: frequency, words of 16 bits, and lags. */
void battery_bits(struct battery *b, const char *test, const uint64_t *bits, size_t n, double keep);

void *allocate(size_t bytes);

#endif
