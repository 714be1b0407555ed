/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "measure.h"

#include <time.h>

#include "fail.h"

/* A batch is so long that reading the clock (30 ns) or waking a thread (50 us) hardly counts. */
#define BATCH_SECONDS 20e-6
#define THREADS_BATCH_SECONDS 10e-3

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double time_batch(const struct body *b, size_t calls)
{
    const double start = now();

    b->run(b->argument, calls);
    return now() - start;
}

/* The shortest of three batches, because an interruption makes one longer. */
static double shortest_batch(const struct body *b, size_t calls)
{
    double shortest = time_batch(b, calls);

    for (int i = 0; i < 2; i++) {
        const double again = time_batch(b, calls);

        shortest = again < shortest ? again : shortest;
    }
    return shortest;
}

/* Number of calls that take at least `seconds`. Also warms up caches and predictors. */
static size_t calls_lasting(const struct body *b, double seconds)
{
    size_t calls = 1;

    while (shortest_batch(b, calls) < seconds)
        calls *= 2;
    return calls;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double percentile_10(double *samples, size_t count)
{
    qsort(samples, count, sizeof *samples, compare);
    return samples[count / 10];
}

/* About one call of the slowest body, so that all bodies get the same share of the time. */
static double batch_seconds(const struct body *bodies, size_t count)
{
    double longest = BATCH_SECONDS;

    for (size_t i = 0; i < count; i++) {
        const double call = time_batch(&bodies[i], 1);

        if (bodies[i].threads > 1 && longest < THREADS_BATCH_SECONDS)
            longest = THREADS_BATCH_SECONDS;
        if (longest < call / 2) /* the first call is slower than the rest */
            longest = call / 2;
    }
    return longest;
}

void measure(const struct body *bodies, size_t count, double seconds, double *time)
{
    const double batch = batch_seconds(bodies, count);
    const size_t capacity = MEASURE_SAMPLES + (size_t)(seconds / batch);
    double *samples = malloc(count * capacity * sizeof *samples);
    size_t calls[MEASURE_MAX], batches = 0;

    if (samples == NULL)
        fail("no memory for the samples");
    for (size_t i = 0; i < count; i++)
        calls[i] = calls_lasting(&bodies[i], batch);
    for (const double end = now() + seconds * (double)count;
         batches < capacity && (batches < MEASURE_SAMPLES || now() < end); batches++)
        for (size_t i = 0; i < count; i++)
            samples[i * capacity + batches] = time_batch(&bodies[i], calls[i]) / (double)calls[i];
    for (size_t i = 0; i < count; i++)
        time[i] = percentile_10(samples + i * capacity, batches);
    free(samples);
}
