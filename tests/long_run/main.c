/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "long_run.h"

static const char help[] =
    "usage: long_run [option]...\n"
    "\n"
    "  --minutes=N   stop after N minutes; default: 40\n"
    "  --short       make a fixed number of smaller calls, which takes a few seconds\n"
    "  --threads=N   1 to 64 threads; default: 4\n"
    "  --call=N      make only call N\n"
    "  --first=N     begin with call N; default: a call that depends on the time\n"
    "  --fault       flip a bit of each output after the first calls, which the program must find\n"
    "\n"
    "Exit status: 0 no output deviated; 1 one did, and its call is printed; 2 wrong options.\n";

enum { MOST_THREADS = 64, SHORT_ROUNDS = 20 /* of all kinds */, FAULTY = 3 * KINDS /* calls */ };

struct pools pools;
static struct {
    double minutes;
    unsigned threads;
    bool is_short, one, fault;
    uint64_t first;
} options = {.minutes = 40, .threads = 4};
static atomic_uint_fast64_t next;
static atomic_bool stopped;
static struct worker workers[MOST_THREADS];

_Noreturn void deviation(const struct worker *w, const char *what, const char *name)
{
    static atomic_flag reported = ATOMIC_FLAG_INIT;

    if (!atomic_flag_test_and_set(&reported)) { /* the first one */
        printf("DEVIATION: %s %s, on %s, tasks: %zu, %s\nof %s\n"
               "to repeat this call: long_run%s --call=%" PRIu64 "\n",
               name, what, bitdrop_isa_name(w->isa), w->parallel.tasks, w->callback, w->text,
               options.is_short ? " --short" : "", w->number);
        fflush(stdout);
    }
    _Exit(1);
}

void expect_ok(struct worker *w, bitdrop_status status)
{
    if (status != BITDROP_OK)
        deviation(w, bitdrop_status_string(status), "a legal call fails:");
}

void expect_same(struct worker *w, int i, const char *name, const bitdrop_dtype *t)
{
    /* Not in one call alone: the bit may lie in a NaN, and all NaNs are equal. */
    if (options.fault && w->number >= options.first + FAULTY && w->got[i].bytes > 0)
        w->got[i].at[w->got[i].bytes / 2] ^= 1;
    if (!regions_same(&w->wanted[i], &w->got[i], t))
        deviation(w, "differs", name);
    w->bytes += w->got[i].bytes;
}

void answer(struct worker *w, int kind, bitdrop_isa isa, bitdrop_config *cfg)
{
    w->calls[kind][isa]++;
    w->isa = isa;
    w->callback = "on one thread";
    w->parallel = (bitdrop_parallel){0};
    cfg->isa = (uint8_t)isa;
    cfg->parallel = NULL;
}

void vary(struct worker *w, int kind, bitdrop_isa isa, bitdrop_config *cfg)
{
    static const struct {
        const char *name;
        runs_run *run;
    } runs[] = {{"backwards", runs_backwards},
                {"on another thread", runs_elsewhere},
                {"at once", runs_at_once}};
    const size_t which = check_below(&w->c, 5);

    answer(w, kind, isa, cfg);
    cfg->stores = (uint8_t)check_below(&w->c, 3);
    if (which >= sizeof runs / sizeof *runs)
        return;
    w->callback = runs[which].name;
    w->parallel =
        (bitdrop_parallel){.run = runs[which].run, .tasks = 2 + check_below(&w->c, RUNS_TASKS - 1)};
    cfg->parallel = &w->parallel;
}

static void run_number(struct worker *w, uint64_t number)
{
    const int kind = (int)(number % KINDS);

    w->number = number;
    w->c = (struct check){.random = number};
    check_random(&w->c);
    if (kind == KIND_ATTENTION)
        attention_run(w);
    else if (kind == KIND_MASKS)
        masks_run(w);
    else
        operations_run(w, (enum bitdrop_operation)kind);
}

static void *work(void *worker)
{
    struct worker *w = worker;
    const uint64_t end = options.first + (options.one ? 1 : (uint64_t)SHORT_ROUNDS * KINDS);

    while (!atomic_load(&stopped)) {
        const uint64_t number = atomic_fetch_add(&next, 1);

        if ((options.is_short || options.one) && number >= end)
            break;
        run_number(w, number);
    }
    return NULL;
}

/* Waits until the time is up, and prints the progress every ten minutes. */
static void wait_minutes(void)
{
    time_t start = time(NULL), shown = start;

    while (difftime(time(NULL), start) < 60 * options.minutes) {
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
        if (difftime(time(NULL), shown) >= 600) {
            shown = time(NULL);
            printf("%.0f minutes: %" PRIu64 " sets of calls\n", difftime(shown, start) / 60,
                   (uint64_t)atomic_load(&next) - options.first);
            fflush(stdout);
        }
    }
    atomic_store(&stopped, true);
}

/* Prints the totals. False if a kind of call did not run on an ISA that this machine runs. */
static bool report(void)
{
    uint64_t calls = 0, bytes = 0;
    bool all = true;

    for (int kind = 0; kind < KINDS; kind++)
        for (int isa = 0; isa < BITDROP_ISA_COUNT; isa++) {
            uint64_t count = 0;

            for (unsigned i = 0; i < options.threads; i++)
                count += workers[i].calls[kind][isa];
            calls += count;
            if (count == 0 && bitdrop_isa_supported((bitdrop_isa)isa) && !options.one) {
                printf("kind %d did not run on %s\n", kind, bitdrop_isa_name((bitdrop_isa)isa));
                all = false;
            }
        }
    for (unsigned i = 0; i < options.threads; i++)
        bytes += workers[i].bytes;
    if (!all)
        return false;
    printf("%" PRIu64 " calls from %u threads, %.3f GB of outputs compared, none deviated\n", calls,
           options.threads, (double)bytes / 1e9);
    return true;
}

/* Whether regions_same finds each flipped bit, in an output and in its margins. */
static bool comparison_finds_bits(void)
{
    struct region a = {0}, b = {0};
    const bitdrop_dtype t = BITDROP_F32;
    bool found = true;

    for (int i = -MARGIN; i < 400 + MARGIN; i++)
        for (int bit = 0; bit < 8; bit++) {
            region_set(&a, 400, 0, NULL);
            region_set(&b, 400, 12, NULL);
            found &= regions_same(&a, &b, &t) && regions_same(&a, &b, NULL);
            b.at[i] ^= (unsigned char)(1 << bit);
            found &= !regions_same(&a, &b, &t) && !regions_same(&a, &b, NULL);
        }
    free(a.base);
    free(b.base);
    return found;
}

static bool read_options(int argc, char **argv)
{
    options.first = (uint64_t)time(NULL) * 1000000;
    for (int i = 1; i < argc; i++) {
        char *end = argv[i];

        if (strcmp(argv[i], "--short") == 0)
            options.is_short = true;
        else if (strcmp(argv[i], "--fault") == 0)
            options.fault = true;
        else if (strncmp(argv[i], "--minutes=", 10) == 0)
            options.minutes = strtod(argv[i] + 10, &end);
        else if (strncmp(argv[i], "--threads=", 10) == 0)
            options.threads = (unsigned)strtoul(argv[i] + 10, &end, 10);
        else if (strncmp(argv[i], "--call=", 7) == 0) {
            options.first = strtoull(argv[i] + 7, &end, 10);
            options.one = true;
        } else if (strncmp(argv[i], "--first=", 8) == 0)
            options.first = strtoull(argv[i] + 8, &end, 10);
        else
            return false;
        if (*end != 0 && end != argv[i])
            return false;
    }
    return options.threads >= 1 && options.threads <= MOST_THREADS && options.minutes > 0;
}

int main(int argc, char **argv)
{
    pthread_t threads[MOST_THREADS];

    if (!read_options(argc, argv)) {
        fputs(help, stderr);
        return 2;
    }
    if (!comparison_finds_bits()) {
        puts("the comparison misses a flipped bit");
        return 1;
    }
    const size_t most = options.is_short ? (size_t)1 << 18 : (size_t)1 << 22;

    pools_fill(most);
    atomic_init(&next, options.first);
    for (unsigned i = 0; i < options.threads; i++) {
        workers[i].most = most;
        threads[i] = runs_start(work, &workers[i]);
    }
    if (!options.is_short && !options.one)
        wait_minutes();
    for (unsigned i = 0; i < options.threads; i++)
        pthread_join(threads[i], NULL);
    return report() ? 0 : 1;
}
