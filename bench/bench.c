/* SPDX-License-Identifier: Apache-2.0 */
/* The program that `./dev bench` runs: measures cases, lists their names, or checks the targets. */
#define _GNU_SOURCE
#include <getopt.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attention.h"
#include "fail.h"
#include "isas.h"
#include "list.h"
#include "machine.h"
#include "shim.h"
#include "table.h"
#include "targets.h"

static const char help[] =
    "usage: bitdrop-bench [option]... [--benchmark_...]\n"
    "\n"
    "  --quick         a short table, in less than a minute\n"
    "  --targets       checks the targets of performance, in about ten minutes\n"
    "  --filter=REGEX  the cases whose names match, out of all cases; --list prints the names\n"
    "  --isa=NAME      this ISA only\n"
    "  --json=FILE     also writes the results to FILE\n"
    "  --seconds=S     measures each side of a comparison for S seconds\n"
    "  --list          prints the names of the cases and runs none; all: --list --filter=.\n"
    "\n"
    "Without --quick, --targets and --filter: throughput at each size, and every other axis once.\n"
    "Options that begin with --benchmark_ go to Google Benchmark.\n";

static struct {
    bool quick, targets, list;
    bitdrop_isa isa;
    const char *filter;
    regex_t regex;
    double seconds;
    char *json; /* "--benchmark_out=FILE" */
} options;

static _Noreturn void usage_error(const char *what, const char *argument)
{
    fprintf(stderr, "bitdrop-bench: %s%s\nTry --help.\n", what, argument);
    exit(2);
}

static bitdrop_isa isa_named(const char *name)
{
    static const bitdrop_isa isas[] = {
#define ISA(isa, ISA) BITDROP_ISA_##ISA,
        BITDROP_ISAS(ISA)
#undef ISA
    };
    enum { COUNT = sizeof isas / sizeof *isas };

    for (size_t i = 0; i < COUNT; i++)
        if (strcmp(name, bitdrop_isa_name(isas[i])) == 0 && bitdrop_isa_supported(isas[i]))
            return isas[i];
    fprintf(stderr, "bitdrop-bench: this machine has no ISA %s. It has", name);
    for (size_t i = 0; i < COUNT; i++)
        if (bitdrop_isa_supported(isas[i]))
            fprintf(stderr, " %s", bitdrop_isa_name(isas[i]));
    fputs("\n", stderr);
    exit(2);
}

static void set_filter(const char *regex)
{
    const int error = regcomp(&options.regex, regex, REG_EXTENDED | REG_NOSUB);
    char why[128];

    if (error != 0) {
        regerror(error, &options.regex, why, sizeof why);
        usage_error("--filter: ", why);
    }
    options.filter = regex;
}

static void set_seconds(const char *text)
{
    char *end = NULL;

    options.seconds = strtod(text, &end);
    if (end == text || *end != 0 || !(options.seconds > 0 && options.seconds < 1000))
        usage_error("--seconds must be a number above 0: ", text);
}

static void set_option(int option, const char *value)
{
    switch (option) {
    case 'q':
        options.quick = true;
        break;
    case 't':
        options.targets = true;
        break;
    case 'l':
        options.list = true;
        break;
    case 'i':
        options.isa = isa_named(value);
        break;
    case 'f':
        set_filter(value);
        break;
    case 's':
        set_seconds(value);
        break;
    case 'j':
        if (asprintf(&options.json, "--benchmark_out=%s", value) < 0)
            fail("no memory");
        break;
    case 'h':
        fputs(help, stdout);
        exit(0);
    default: /* getopt has printed the error */
        fputs("Try --help.\n", stderr);
        exit(2);
    }
}

/*
 * Sets `options`. Writes the arguments for Google Benchmark to passed_on, argv[0] first, and
 * returns how many there are.
 */
static int read_options(int argc, char **argv, char **passed_on)
{
    static const struct option known[] = {{"quick", no_argument, NULL, 'q'},
                                          {"targets", no_argument, NULL, 't'},
                                          {"list", no_argument, NULL, 'l'},
                                          {"isa", required_argument, NULL, 'i'},
                                          {"filter", required_argument, NULL, 'f'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int own = 1, passed = 1, option = 0;

    passed_on[0] = argv[0];
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--benchmark_", 12) == 0)
            passed_on[passed++] = argv[i];
        else
            argv[own++] = argv[i];
    while ((option = getopt_long(own, argv, "", known, NULL)) != -1)
        set_option(option, optarg);
    if (optind < own)
        usage_error("not an option: ", argv[optind]);
    if (options.targets && (options.quick || options.filter || options.list || options.json))
        usage_error("--targets goes with --isa and --seconds only", "");
    if (options.json != NULL)
        passed_on[passed++] = options.json;
    return passed;
}

static struct shim_result run_case(void *argument)
{
    struct bench_case *c = argument;
    const struct timing t = limit_time(c, options.seconds > 0 ? options.seconds : TABLE_SECONDS);

    table_row(c, t);
    return (struct shim_result){.seconds = t.call,
                                .limit_seconds = t.limit,
                                .elements = c->n,
                                .bytes = case_bytes(c),
                                .mask_bytes = case_mask_bytes(c)};
}

static struct shim_result run_attention(void *argument)
{
    struct attention_case *c = argument;
    const struct attention_timing t =
        attention_time(c, options.seconds > 0 ? options.seconds : TABLE_SECONDS);

    attention_row(c, t);
    return (struct shim_result){.seconds = t.call,
                                .limit_seconds = t.by_cblas,
                                .elements = (size_t)attention_scores(c),
                                /* forward: q, k, v, out; backward: these, dout, dq, dk, dv */
                                .bytes = 12 * attention_tensor_bytes(c)};
}

/* Whether the options select a case. isa is AUTO if the case belongs to no ISA. */
static bool is_wanted(const char *name, bitdrop_isa isa, bool in_quick, bool in_full)
{
    if (options.isa != BITDROP_ISA_AUTO && isa != BITDROP_ISA_AUTO && isa != options.isa)
        return false;
    if (options.quick ? !in_quick : options.filter == NULL && !in_full)
        return false;
    return options.filter == NULL || regexec(&options.regex, name, 0, NULL, 0) == 0;
}

/* Registers run(copy of c) under this name. With --list, prints the name instead. */
static void add(const char *name, shim_body *run, const void *c, size_t bytes, size_t *count)
{
    void *copy;

    *count += 1;
    if (options.list) {
        puts(name);
        return;
    }
    copy = malloc(bytes); /* lives as long as the program */
    if (copy == NULL)
        fail("no memory for the cases");
    shim_register(name, run, memcpy(copy, c, bytes));
}

static void add_case(const struct bench_case *c, void *count)
{
    const bitdrop_isa isa = c->kind == OPERATION ? c->isa : BITDROP_ISA_AUTO;
    char name[CASE_NAME_BYTES];

    case_name(c, name);
    if (is_wanted(name, isa, list_in_quick(c), list_in_full(c)))
        add(name, run_case, c, sizeof *c, count);
}

static void add_attention(const struct attention_case *c, void *count)
{
    char name[ATTENTION_NAME_BYTES];

    attention_name(c, name);
    if (is_wanted(name, c->isa, attention_in_quick(c), attention_in_full(c)))
        add(name, run_attention, c, sizeof *c, count);
}

static void add_context(void)
{
    char cache[32];

    snprintf(cache, sizeof cache, "%zu", machine_last_level_cache());
    shim_context("cpu", machine_cpu_name());
    shim_context("last_level_cache_bytes", cache);
    shim_context("bitdrop_version", bitdrop_version());
    shim_context("compiler", machine_compiler());
}

static int run_targets(void)
{
    if (options.isa == BITDROP_ISA_AUTO)
        options.isa = isa_named("avx512"); /* the targets are for this ISA */
    return targets_run(options.isa, options.seconds > 0 ? options.seconds : 2) > 0;
}

static int run_cases(int argc, char **argv)
{
    size_t operations = 0, count;

    list_cases(add_case, &operations);
    count = operations;
    attention_cases(add_attention, &count);
    if (count == 0)
        usage_error("no case matches; --list --filter=. prints all names", "");
    if (options.list)
        return 0;
    add_context();
    if (operations > 0)
        table_header();
    return shim_run(argc, argv);
}

int main(int argc, char **argv)
{
    char **passed_on = calloc((size_t)argc + 2, sizeof *passed_on);
    int status = 0, passed = 0;

    if (passed_on == NULL)
        fail("no memory");
    passed = read_options(argc, argv, passed_on);
    status = options.targets ? run_targets() : run_cases(passed, passed_on);
    free(passed_on);
    return status;
}
