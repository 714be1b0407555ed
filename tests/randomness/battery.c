/* SPDX-License-Identifier: Apache-2.0 */
#include "battery.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t battery_size(const struct battery *b, unsigned log2)
{
    return (size_t)1 << (log2 < b->most ? log2 : b->most);
}

void battery_add(struct battery *b, const char *test, const char *what, size_t n, double p_value)
{
    struct row *row = b->rows;

    while (row < b->rows + b->row_count &&
           (strcmp(row->test, test) != 0 || strcmp(row->what, what) != 0))
        row++;
    if (row == b->rows + b->row_count) {
        if (b->row_count++ == MOST_ROWS)
            abort();
        *row = (struct row){test, what, (unsigned)(log2((double)n) + 0.5), 0, 1};
    }
    row->p_values++;
    if (!(p_value >= row->least))
        row->least = p_value >= 0 ? p_value : 0;
}

double p_of_normal(double z) { return erfc(fabs(z) * sqrt(0.5)); }

/* Wilson and Hilferty: the cube root of x is nearly normal. Accurate to 5 % at 1e-7. */
double p_of_chi_square(double x, double freedom)
{
    const double variance = 2 / (9 * freedom);

    return p_of_normal((cbrt(x / freedom) - (1 - variance)) / sqrt(variance));
}

/* Twice the sum of the tail from `successes` outwards, term by term. */
double p_of_binomial(uint64_t n, double p, uint64_t successes)
{
    const double all = (double)n;
    const bool above = (double)successes > all * p;
    double k = (double)successes, sum = 0;
    double term = exp(lgamma(all + 1) - lgamma(k + 1) - lgamma(all - k + 1) + k * log(p) +
                      (all - k) * log1p(-p));

    while (term > sum * 0x1p-53) {
        sum += term;
        if (above) {
            term *= (all - k) / (k + 1) * (p / (1 - p));
            k++;
        } else {
            term *= k / (all - k + 1) * ((1 - p) / p);
            k--;
        }
    }
    return fmin(1, 2 * sum);
}

/* Stephens: with this factor the limit for large n is accurate for all n. */
double p_of_ks(double distance, double n)
{
    const double x = distance * (sqrt(n) + 0.12 + 0.11 / sqrt(n));
    double sum = 0;

    if (x < 0.2) /* the series does not converge, and the sum is 1 to 12 digits */
        return 1;
    for (int k = 1; k <= 100; k++)
        sum += (k % 2 ? 2 : -2) * exp(-2 * x * x * k * k);
    return fmin(1, sum);
}

uint64_t bits_count(const uint64_t *bits, size_t n)
{
    size_t kept;

    if (bitdrop_mask_count(n, (const uint8_t *)bits, &kept) != BITDROP_OK)
        abort();
    return kept;
}

/* Writes words `first` to `first` + `count` - 1 of bits >> lag. After the n bits come zeros. */
static void shifted(uint64_t *to, const uint64_t *bits, size_t n, size_t lag, size_t first,
                    size_t count)
{
    const size_t words = n / 64, skip = lag / 64;

    for (size_t k = 0; k < count; k++) {
        const size_t at = first + k + skip;
        const uint64_t low = at < words ? bits[at] : 0, high = at + 1 < words ? bits[at + 1] : 0;

        to[k] = lag % 64 == 0 ? low : low >> lag % 64 | high << (64 - lag % 64);
    }
}

/* Counts the ones of a ^ b, or if not `differ` of a & b, with b shifted by `lag`. Works in blocks
 * that fit in the L1 cache. */
static uint64_t count_of_two(const uint64_t *a, const uint64_t *b, size_t n, size_t lag,
                             bool differ)
{
    enum { WORDS = 1 << 10 };
    uint64_t block[WORDS], count = 0;
    const size_t pairs = n - lag;

    for (size_t first = 0; first * 64 < pairs; first += WORDS) {
        const size_t left = pairs - first * 64, bits = left < WORDS * 64 ? left : WORDS * 64;
        const size_t words = (bits + 63) / 64;

        shifted(block, b, n, lag, first, words);
        for (size_t k = 0; k < words; k++)
            block[k] = differ ? block[k] ^ a[first + k] : block[k] & a[first + k];
        count += bits_count(block, bits);
    }
    return count;
}

uint64_t bits_xor_count(const uint64_t *a, const uint64_t *b, size_t n, size_t lag)
{
    return count_of_two(a, b, n, lag, true);
}

/* Counts the ones of the n bits from bit `first` on. */
static uint64_t count_from(const uint64_t *bits, size_t n, size_t first)
{
    uint64_t count = bits_count(bits, n);

    for (size_t i = 0; i < first; i++)
        count -= bits[i / 64] >> (i % 64) & 1;
    return count;
}

double bits_covariance(const uint64_t *a, const uint64_t *b, size_t n, size_t lag, double keep)
{
    const double pairs = (double)(n - lag), both = (double)count_of_two(a, b, n, lag, false);
    const double of_a = (double)bits_count(a, n - lag), of_b = (double)count_from(b, n, lag);

    return (both - keep * (of_a + of_b) + pairs * keep * keep) / (sqrt(pairs) * keep * (1 - keep));
}

/*
 * Chi-square over all words of 16 bits. Words that are expected fewer than `least` times share one
 * cell. If all words are equally likely, `least` may be smaller, because then the variance of
 * chi-square is that of the limit.
 */
static void add_words(struct battery *b, const char *test, const uint64_t *bits, size_t n,
                      double keep)
{
    static uint32_t seen[1 << 16];
    const double least = keep == 0.5 ? 4 : 16;
    const size_t words = n / 16;
    double chi_square = 0, cells = 0, rare_seen = 0, rare_expected = 0;

    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < words; i++)
        seen[bits[i / 4] >> (i % 4 * 16) & 0xFFFF]++;
    for (size_t word = 0; word < 1 << 16; word++) {
        const int ones = __builtin_popcount((unsigned)word);
        const double expected = (double)words * pow(keep, ones) * pow(1 - keep, 16 - ones);

        if (expected < least) {
            rare_seen += seen[word];
            rare_expected += expected;
        } else {
            chi_square += (seen[word] - expected) * (seen[word] - expected) / expected;
            cells++;
        }
    }
    if (rare_expected >= least) {
        chi_square += (rare_seen - rare_expected) * (rare_seen - rare_expected) / rare_expected;
        cells++;
    }
    if (cells > 100)
        battery_add(b, test, "words of 16 bits", n, p_of_chi_square(chi_square, cells - 1));
}

void battery_bits(struct battery *b, const char *test, const uint64_t *bits, size_t n, double keep)
{
    battery_add(b, test, "how many are kept", n, p_of_binomial(n, keep, bits_count(bits, n)));
    add_words(b, test, bits, n, keep);
    for (size_t lag = 1; lag <= 256; lag++)
        battery_add(b, test, "lags 1 to 256", n,
                    p_of_normal(bits_covariance(bits, bits, n, lag, keep)));
}

void *allocate(size_t bytes)
{
    void *memory = malloc(bytes);

    if (memory == NULL) {
        fprintf(stderr, "randomness: cannot allocate %zu bytes of memory\n", bytes);
        exit(2);
    }
    return memory;
}
