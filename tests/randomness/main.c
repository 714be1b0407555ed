/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests whether bitdrop's draws look random, and whether these tests find draws that do not. The
 * same tests run on bitdrop, and on a slow generator with each of its planted faults. bitdrop must
 * pass all tests, each fault must fail one, and each test must catch a fault.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "battery.h"

static const char help[] =
    "usage: randomness --short\n"
    "       randomness [--results=FILE --label=TEXT]\n"
    "\n"
    "  --short         use small sizes, and run only one part on each fault\n"
    "  --results=FILE  keep the results of each finished step in FILE, and do not repeat it\n"
    "  --label=TEXT    what is tested; results in FILE that have another label are deleted\n";

/* Each part that runs on bitdrop is a step, and so is each fault. */
struct step {
    const char *name;
    void (*part)(struct battery *b);    /* NULL for a fault */
    void (*catcher)(struct battery *b); /* the part that must catch the fault */
    struct battery battery;
    bool done;
};

#define PART_STEP(tests, what)                                                                     \
    {.name = #tests, .part = part_##tests, .battery = {.source = SOURCE_BITDROP}},
#define SOURCE_STEP(fault, catches, what)                                                          \
    {.name = #fault, .catcher = part_##catches, .battery = {.source = SOURCE_##fault}},
static struct step steps[] = {PARTS(PART_STEP) SOURCES(SOURCE_STEP)};
enum { STEPS = sizeof steps / sizeof *steps };

/* False for the sources that are no faults: BITDROP has a step for each part, and
 * expect_slow_is_bitdrop tests SLOW. */
static bool step_is_used(const struct step *s)
{
    return s->part != NULL || s->battery.source > SOURCE_SLOW;
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9E3779B97F4A7C15);

    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static void expect_same(const char *what, const void *a, const void *b, size_t bytes)
{
    if (memcmp(a, b, bytes) == 0)
        return;
    fprintf(stderr, "randomness: the slow generator differs from bitdrop: %s\n", what);
    exit(1);
}

/* The slow generator, in which faults are planted, must be right without a fault. */
static void expect_slow_is_bitdrop(void)
{
    enum { N = 1 << 12, CASES = 400 };
    static const struct units shapes[] = {{.columns = 1000, .repeat = 1, .pitch = 1029},
                                          {.columns = 777, .repeat = 3, .pitch = 777},
                                          {.columns = 3, .repeat = 1, .each_row = true},
                                          {.columns = 2, .repeat = 2, .each_row = true}};
    static uint64_t a[N / 64], b[N / 64];
    static double x[N], y[N];
    uint64_t random = 2026;

    for (unsigned i = 0; i < CASES; i++) {
        const double unit = (double)(next_random(&random) >> 11) * 0x1p-53;
        bitdrop_config cfg = {.p = i % 4 == 0 ? ldexp(1 + unit, -1 - (int)(i / 4 % 63)) : unit,
                              .seed = next_random(&random),
                              .stream = (uint32_t)next_random(&random),
                              .offset = next_random(&random) >> 1 >> i % 63 & ~UINT64_C(31),
                              .rounds = i % 2 ? 7 : 10};

        source_mask(SOURCE_BITDROP, &cfg, N, a);
        source_mask(SOURCE_SLOW, &cfg, N, b);
        expect_same("mask", a, b, sizeof a);
        if (i % 10 != 0)
            continue;
        source_units(SOURCE_BITDROP, &cfg, &shapes[i / 10 % 4], N, a);
        source_units(SOURCE_SLOW, &cfg, &shapes[i / 10 % 4], N, b);
        expect_same("rows", a, b, sizeof a);
        source_plane(SOURCE_BITDROP, &cfg, i / 10 % 13, N, a);
        source_plane(SOURCE_SLOW, &cfg, i / 10 % 13, N, b);
        expect_same("plane", a, b, sizeof a);
        source_noise(SOURCE_BITDROP, &cfg, i % 20 == 0, N, x);
        source_noise(SOURCE_SLOW, &cfg, i % 20 == 0, N, y);
        for (size_t k = 0; k < N; k++) /* the slow one computes in double */
            if (!(fabs(x[k] - y[k]) < 1e-5 * (1 + fabs(y[k]))))
                expect_same("noise", &x[k], &y[k], sizeof x[k]);
    }
    printf("The slow generator without a fault agrees with bitdrop in %d cases.\n", CASES);
}

static bool row_fails(const struct row *row) { return row->least < BOUND; }

static size_t failures(const struct battery *b)
{
    size_t count = 0;

    for (size_t i = 0; i < b->row_count; i++)
        count += row_fails(&b->rows[i]);
    return count;
}

static void run_step(struct step *s, bool is_short)
{
    struct battery *b = &s->battery;

    b->most = is_short ? 20 : s->part != NULL ? 30 : 22;
    if (s->part != NULL)
        s->part(b);
    else if (is_short)
        s->catcher(b);
    for (size_t i = 0; i < STEPS && s->part == NULL && !is_short; i++)
        if (steps[i].part != NULL)
            steps[i].part(b);
}

/* A line of FILE has the step, the row's test and what, log2 of the size, how many p-values, and
 * the least of them. The line "done" ends a step. */
static void save_step(const char *file, const struct step *s)
{
    FILE *f = fopen(file, "a");

    for (size_t i = 0; f != NULL && i < s->battery.row_count; i++) {
        const struct row *row = &s->battery.rows[i];

        fprintf(f, "%s\t%s\t%s\t%u\t%zu\t%.17g\n", s->name, row->test, row->what, row->log2_size,
                row->p_values, row->least);
    }
    if (f == NULL || fprintf(f, "%s\tdone\n", s->name) < 0 || fclose(f) != 0) {
        fprintf(stderr, "randomness: cannot write %s\n", file);
        exit(2);
    }
}

static struct step *step_named(const char *name)
{
    for (size_t i = 0; i < STEPS; i++)
        if (step_is_used(&steps[i]) && strcmp(steps[i].name, name) == 0)
            return &steps[i];
    return NULL;
}

static char *copied(const char *text)
{
    const size_t bytes = strlen(text) + 1;

    return memcpy(allocate(bytes), text, bytes);
}

static void load_line(char *line)
{
    char name[32], test[64], what[96], end[8];
    struct row row = {0};

    if (sscanf(line, "%31[^\t]\t%7s", name, end) != 2 || step_named(name) == NULL)
        return;
    struct step *s = step_named(name);

    if (strcmp(end, "done") == 0) {
        s->done = true;
    } else if (sscanf(line, "%*[^\t]\t%63[^\t]\t%95[^\t]\t%u\t%zu\t%lf", test, what, &row.log2_size,
                      &row.p_values, &row.least) == 5 &&
               s->battery.row_count < MOST_ROWS) {
        row.test = copied(test);
        row.what = copied(what);
        s->battery.rows[s->battery.row_count++] = row;
    }
}

/* Loads the finished steps, or begins a new file if the label differs. */
static void load_steps(const char *file, const char *label)
{
    char line[512];
    FILE *f = fopen(file, "r");
    bool same = false;

    if (f != NULL && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = 0;
        same = strcmp(line, label) == 0;
    }
    while (same && fgets(line, sizeof line, f) != NULL)
        load_line(line);
    if (f != NULL)
        fclose(f);
    for (size_t i = 0; i < STEPS; i++)
        if (!steps[i].done)
            steps[i].battery.row_count = 0; /* a step that was interrupted */
    f = fopen(file, same ? "a" : "w");
    if (f == NULL || (!same && fprintf(f, "%s\n", label) < 0) || fclose(f) != 0) {
        fprintf(stderr, "randomness: cannot write %s\n", file);
        exit(2);
    }
}

/* Prints the results of bitdrop. */
static size_t print_results(void)
{
    size_t failed = 0, p_values = 0;

    printf("\n| test | what | size | p-values | smallest | bound | verdict |\n"
           "|---|---|---|---|---|---|---|\n");
    for (const struct step *s = steps; s < steps + STEPS; s++) {
        if (s->part == NULL)
            continue;
        for (size_t i = 0; i < s->battery.row_count; i++) {
            const struct row *row = &s->battery.rows[i];

            printf("| %s | %s | 2^%u | %zu | %.2g | %.0e | %s |\n", row->test, row->what,
                   row->log2_size, row->p_values, row->least, BOUND,
                   row_fails(row) ? "FAILED" : "passed");
            failed += row_fails(row);
            p_values += row->p_values;
        }
    }
    printf("\n%zu p-values; a good generator fails with a probability below %.1g.\n", p_values,
           (double)p_values * BOUND);
    if (p_values > MOST_P_VALUES) {
        printf("FAILED: that is more than %d: make BOUND smaller.\n", MOST_P_VALUES);
        failed++;
    }
    return failed;
}

/* Prints which tests caught each fault, and the row that caught it most clearly. */
static size_t print_faults(void)
{
    size_t missed = 0;

    printf("\n| planted fault | tests that catch it | most clearly | smallest | verdict |\n"
           "|---|---|---|---|---|\n");
    for (const struct step *s = steps; s < steps + STEPS; s++) {
        const struct row *row = s->battery.rows, *end = row + s->battery.row_count, *clearest = row;
        const char *last = "";

        if (s->part != NULL || !step_is_used(s))
            continue;
        printf("| %s | ", source_what[s->battery.source]);
        for (; row < end; row++) {
            if (row->least < clearest->least)
                clearest = row;
            if (row_fails(row) && strcmp(row->test, last) != 0) {
                printf("%s%s", *last ? "; " : "", row->test);
                last = row->test;
            }
        }
        printf(" | %s: %s | %.2g | %s |\n", clearest->test, clearest->what, clearest->least,
               *last ? "caught" : "MISSED");
        missed += *last == 0;
    }
    return missed;
}

/* Prints the rows that catch no fault: they prove nothing. */
static size_t print_useless(void)
{
    size_t useless = 0;

    for (const struct step *s = steps; s < steps + STEPS; s++)
        for (size_t i = 0; s->part != NULL && i < s->battery.row_count; i++) {
            const struct row *row = &s->battery.rows[i];
            bool caught = false;

            for (const struct step *fault = steps; fault < steps + STEPS; fault++)
                for (size_t k = 0; fault->part == NULL && k < fault->battery.row_count; k++) {
                    const struct row *other = &fault->battery.rows[k];

                    caught |= row_fails(other) && strcmp(row->test, other->test) == 0 &&
                              strcmp(row->what, other->what) == 0;
                }
            if (!caught)
                printf("FAILED: %s: %s: catches no fault\n", row->test, row->what);
            useless += !caught;
        }
    return useless;
}

int main(int argc, char **argv)
{
    const char *file = NULL, *label = "";
    bool is_short = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--short") == 0) {
            is_short = true;
        } else if (strncmp(argv[i], "--results=", 10) == 0) {
            file = argv[i] + 10;
        } else if (strncmp(argv[i], "--label=", 8) == 0) {
            label = argv[i] + 8;
        } else {
            fputs(help, stderr);
            return 2;
        }
    }
    if (is_short && file != NULL) { /* a later run would mistake them for results of large sizes */
        fputs("randomness: --short keeps no results: leave out --results\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("bitdrop %d.%d.%d, %s\n", BITDROP_VERSION_MAJOR, BITDROP_VERSION_MINOR,
           BITDROP_VERSION_PATCH, bitdrop_isa_name(bitdrop_isa_default()));
    expect_slow_is_bitdrop();
    if (file != NULL)
        load_steps(file, label);
    for (struct step *s = steps; s < steps + STEPS; s++) {
        if (!step_is_used(s) || s->done)
            continue;
        const clock_t start = clock();

        run_step(s, is_short);
        if (file != NULL)
            save_step(file, s);
        printf("%s: %.1f s, %zu failures\n", s->name, (double)(clock() - start) / CLOCKS_PER_SEC,
               failures(&s->battery));
    }
    const size_t failed = print_results(), missed = print_faults();
    const size_t useless = is_short ? 0 : print_useless();

    printf("\n%s\n", failed + missed + useless == 0 ? "passed" : "FAILED");
    return failed + missed + useless != 0;
}
