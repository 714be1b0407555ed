/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bitdrop-selftest runs all checks on each ISA of this machine, and then times the kernels as the
 * quick table of ./dev bench does. It needs no test framework. Its output is meant for bug reports.
 */
#include <errno.h>
#include <fenv.h>
#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "baseline.h"
#include "machine.h"
#include "table.h"
#include "tests/check.h"

enum { RIGHT = 0, WRONG = 1, MISUSED = 2, OTHER_CPU = 3, NOT_RUN = 77 /* meson: skipped */ };

#define ISA_WORD(isa, ISA) " " #isa
#define ISA_WORDS BITDROP_ISAS(ISA_WORD)

static const char help[] =
    "usage: bitdrop-selftest [option]... [ISA]...\n"
    "\n"
    "ISAs:" ISA_WORDS "\n"
    "\n"
    "Checks every kernel of the named ISAs, or of all ISAs that this machine runs.\n"
    "Then times them, which takes half a minute.\n"
    "\n"
    "  --no-table  check, but do not time\n"
    "  --table     time, but do not check\n"
    "  --quick     check a tenth of the random cases, do not time; with --table, time roughly\n"
    "  --seed=N    the seed of the random cases, to repeat a run; default: the current time\n"
    "\n"
    "Exit status: 0 no check failed; 1 a check failed; 2 an option or the variable BITDROP_ISA is\n"
    "not valid; 3 this CPU lacks instructions that the program was compiled for; 77 this machine\n"
    "does not run an ISA that was named.\n";

static struct {
    bool quick, table, no_table;
    uint64_t seed;
    unsigned isas; /* bit isa is 1 if that ISA is to be run */
} options;

static const struct {
    const char *name, *what;
    void (*run)(struct check *c);
} checks[] = {
#define ENTRY(name, what) {#name, what, check_##name},
    CHECKS(ENTRY)};

static _Noreturn void misused(const char *what, const char *argument)
{
    fprintf(stderr, "bitdrop-selftest: %s%s\nTry --help.\n", what, argument);
    exit(MISUSED);
}

static void set_seed(const char *text)
{
    char *end = NULL;

    errno = 0;
    options.seed = strtoull(text, &end, 0);
    if (end == text || *end != 0 || errno != 0 || strchr(text, '-') != NULL)
        misused("--seed must be a number below 2^64: ", text);
}

static void add_isa(const char *name)
{
    const bitdrop_isa isa = check_isa_named(name);

    if (isa == BITDROP_ISA_AUTO)
        misused("neither an option nor an ISA: ", name);
    if (!bitdrop_isa_supported(isa)) {
        fprintf(stderr, "bitdrop-selftest: this machine does not run %s\n", name);
        exit(NOT_RUN);
    }
    options.isas |= 1U << isa;
}

static unsigned all_isas(void)
{
    unsigned isas = 0;

    for (unsigned isa = BITDROP_ISA_AUTO + 1; isa < BITDROP_ISA_COUNT; isa++)
        isas |= (unsigned)bitdrop_isa_supported((bitdrop_isa)isa) << isa;
    return isas;
}

static void read_options(int argc, char **argv)
{
    options.seed = (uint64_t)time(NULL);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            exit(RIGHT);
        } else if (strcmp(argv[i], "--quick") == 0)
            options.quick = true;
        else if (strcmp(argv[i], "--table") == 0)
            options.table = true;
        else if (strcmp(argv[i], "--no-table") == 0)
            options.no_table = true;
        else if (strncmp(argv[i], "--seed=", 7) == 0)
            set_seed(argv[i] + 7);
        else
            add_isa(argv[i]);
    }
    if (options.table && options.no_table)
        misused("with both --table and --no-table there is nothing to do", "");
    if (bitdrop_isa_default() == BITDROP_ISA_AUTO)
        misused("BITDROP_ISA: ", bitdrop_status_string(BITDROP_ERR_ISA));
}

/* Programs that gcc links with -ffast-math flush denormals to zero from their start. */
static bool flushes_denormals(void)
{
    const volatile float least = FLT_MIN;

    return least / 2 == 0;
}

static void print_machine(bool flushed)
{
    const size_t cache = machine_last_level_cache();

    printf("bitdrop      %s\n", bitdrop_version());
    printf("math         %s\n", bitdrop_math());
    printf("compiler     %s\n", machine_compiler());
    printf("target       %s\n", machine_target());
    printf("CPU          %s\n", machine_cpu_name());
    printf("CPUs         %u\n", machine_cpus());
    if (cache > 0)
        printf("last cache   %zu KiB\n", cache >> 10);
    for (unsigned isa = BITDROP_ISA_AUTO + 1; isa < BITDROP_ISA_COUNT; isa++)
        printf("%-12s %s\n", bitdrop_isa_name((bitdrop_isa)isa),
               !check_isa_built((bitdrop_isa)isa)        ? "no: not built in"
               : bitdrop_isa_supported((bitdrop_isa)isa) ? "yes"
                                                         : "no: this CPU or its OS lacks it");
    printf("default ISA  %s\n", bitdrop_isa_name(bitdrop_isa_default()));
    if (flushed)
        puts("denormals    flushed to zero at the start; the checks run without flushing");
    printf("seed         %" PRIu64 "\n\n", options.seed);
}

static bool check_isa(bitdrop_isa isa)
{
    size_t failures = 0;

    printf("%-7s mask hash %016" PRIx64 ", value hash %016" PRIx64 "\n", bitdrop_isa_name(isa),
           check_hash_of_masks(isa), check_hash_of_values(isa));
    printf("%-7s math hash %016" PRIx64 ", by %s\n", bitdrop_isa_name(isa), check_hash_of_math(isa),
           bitdrop_math());
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        struct check c = {.isa = isa,
                          .random = options.seed,
                          .seed = options.seed,
                          .thin = options.quick ? 10 : 1};

        checks[i].run(&c);
        printf("%-7s %-18s %s, %zu cases: %s\n", bitdrop_isa_name(isa), checks[i].name,
               c.failures == 0 ? "ok" : "FAILED", c.cases, checks[i].what);
        fflush(stdout);
        failures += c.failures + (c.cases == 0); /* a check that compares nothing fails */
    }
    puts("");
    return failures == 0;
}

int main(int argc, char **argv)
{
    bool right = true;

    if (!baseline_holds(BASELINE_USED))
        return OTHER_CPU;
    const bool flushed = flushes_denormals();
    if (flushed)
        fesetenv(FE_DFL_ENV);
    read_options(argc, argv);
    if (options.isas == 0)
        options.isas = all_isas();
    print_machine(flushed);
    for (unsigned isa = BITDROP_ISA_AUTO + 1; isa < BITDROP_ISA_COUNT && !options.table; isa++)
        if (options.isas >> isa & 1)
            right &= check_isa((bitdrop_isa)isa);
    if (!right)
        puts("A check failed, so nothing is timed.");
    else if (options.table || !(options.quick || options.no_table))
        right = table_quick(options.isas, options.quick ? 1e-6 : TABLE_SECONDS) == options.isas;
    if (right && options.table)
        puts("bitdrop-selftest: timed, not checked");
    else
        puts(right ? "bitdrop-selftest: all right" : "bitdrop-selftest: WRONG");
    return right ? RIGHT : WRONG;
}
