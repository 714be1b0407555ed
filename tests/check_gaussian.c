/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks Gaussian noise as a whole: its distribution, that all ISAs make the same, and the flags
 * that it raises. case_run compares each element with the reference.
 */
#include <fenv.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "check.h"
#include "oracle.h"

enum { SAMPLE = 1 << 18, N = 1 << 14 };
static const double sample_size = SAMPLE;

static bool run(struct check *c, bitdrop_config cfg, bitdrop_isa isa, bitdrop_dtype t, size_t n,
                const void *x, void *y)
{
    const bitdrop_2d shape = {.rows = 1, .cols = n};

    cfg.isa = (uint8_t)isa;
    if (bitdrop_gaussian(&cfg, t, &shape, x, y) == BITDROP_OK)
        return true;
    check_fail(c, "refused");
    return false;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The statistic of Kolmogorov and Smirnov against the normal distribution. Sorts the sample. */
static double distance_to_normal(double *sample)
{
    double most = 0;

    qsort(sample, SAMPLE, sizeof *sample, compare);
    for (size_t i = 0; i < SAMPLE; i++) {
        const double phi = erfc(-sample[i] * sqrt(0.5)) / 2;

        most = fmax(most, fmax(phi - (double)i / sample_size, (double)(i + 1) / sample_size - phi));
    }
    return most;
}

/* The mean of sample[i]^power * sample[i + apart]^other. */
static double moment(const double *sample, size_t apart, int power, int other)
{
    double sum = 0;

    for (size_t i = 0; i + apart < SAMPLE; i++)
        sum += pow(sample[i], power) * pow(sample[i + apart], other);
    return sum / (double)(SAMPLE - apart);
}

static void expect_near(struct check *c, const char *what, size_t apart, double got, double wanted,
                        double variance)
{
    if (!(fabs(got - wanted) <= 4 * sqrt(variance / sample_size)))
        check_fail(c, "noise: %s, %zu apart, is %g, not %g", what, apart, got, wanted);
    c->cases++;
}

/*
 * The seed is fixed, because random ones would fail now and then. The variances are those of powers
 * of a normally distributed number. 4 standard deviations are allowed. At p = 1/2 and x = 1, y is 1
 * plus such a number.
 */
static void expect_distribution(struct check *c)
{
    static double x[SAMPLE], sample[SAMPLE];
    static const size_t apart[] = {1, 2, 15, 16, 17, 32, 48, 64, 1024};

    for (size_t i = 0; i < SAMPLE; i++)
        x[i] = 1;
    if (!run(c, (bitdrop_config){.p = 0.5, .seed = 2026}, c->isa, BITDROP_F64, SAMPLE, x, sample))
        return;
    for (size_t i = 0; i < SAMPLE; i++)
        sample[i] -= 1;
    expect_near(c, "the mean", 0, moment(sample, 0, 1, 0), 0, 1);
    expect_near(c, "the variance", 0, moment(sample, 0, 2, 0), 1, 2);
    expect_near(c, "the third moment", 0, moment(sample, 0, 3, 0), 0, 15);
    expect_near(c, "the fourth moment", 0, moment(sample, 0, 4, 0), 3, 96);
    for (size_t i = 0; i < sizeof apart / sizeof *apart; i++) {
        expect_near(c, "a product", apart[i], moment(sample, apart[i], 1, 1), 0, 1);
        expect_near(c, "a product of squares", apart[i], moment(sample, apart[i], 2, 2), 1, 8);
    }
    const double distance = distance_to_normal(sample);

    if (!(distance <= 1.95 / sqrt(sample_size))) /* 1 seed in 1,000 exceeds it */
        check_fail(c, "noise: %g from the normal distribution", distance);
    if (!(fabs(sample[0]) < 6.67 && sample[SAMPLE - 1] < 6.67))
        check_fail(c, "noise: %g, %g", sample[0], sample[SAMPLE - 1]);
}

/* The noise must have the same bits as that of scalar. */
static void expect_scalar(struct check *c)
{
#ifndef __arm__ /* NEON of ARMv7 treats denormals as 0 */
    static unsigned char x[N * 8], y[2][N * 8];

    for (size_t sample = 0; sample < 16; sample++) {
        const bitdrop_dtype t = (bitdrop_dtype)(sample % 4);
        bitdrop_config cfg = check_random_config(c);
        const size_t n = check_below(c, N);

        cfg.p = operation_p(OP_gaussian, cfg.p);
        check_fill(c, t, x, n);
        if (!run(c, cfg, c->isa, t, n, x, y[0]) || !run(c, cfg, BITDROP_ISA_SCALAR, t, n, x, y[1]))
            return;
        const size_t i = check_difference(t, y[0], y[1], n);

        if (i < n)
            check_fail(c, "%s: element %zu is %" PRIx64 ", in scalar %" PRIx64, dtype_name(t), i,
                       oracle_bits(t, y[0] + i * dtype_bytes(t)),
                       oracle_bits(t, y[1] + i * dtype_bytes(t)));
        c->cases++;
    }
#else
    (void)c;
#endif
}

/* Noise on x = 1 raises no flag except inexact. */
static void expect_flags(struct check *c)
{
    /* Not on Windows: MinGW's functions do not see MXCSR. */
#if defined(FE_INVALID) && defined(FE_DIVBYZERO) && !defined(_WIN32)
    static float x[N], y[N];
    const bitdrop_config cfg = {.p = 0.3, .seed = check_random(c)};
    fenv_t before;

    for (size_t i = 0; i < N; i++)
        x[i] = 1;
    feholdexcept(&before);
    run(c, cfg, c->isa, BITDROP_F32, N - 3, x, y);
    const int raised = fetestexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW | FE_UNDERFLOW);

    fesetenv(&before);
    if (raised != 0)
        check_fail(c, "noise raises flags %x", (unsigned)raised);
    c->cases++;
#else
    (void)c;
#endif
}

void check_gaussian(struct check *c)
{
    expect_distribution(c);
    expect_scalar(c);
    expect_flags(c);
}
