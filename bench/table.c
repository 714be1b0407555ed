/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <stdio.h>

#include "list.h"
#include "memory.h"

void table_header(void)
{
    puts(
        "65,536 elements and one thread, if the end of a row states nothing else. Operations without a "
        "flat call have rows of 1,024.\n"
        "The limit is the fastest of memcpy and y = a * x (for each ISA, stores through and past the "
        "caches) for as many bytes of x.\n"
        "The row and its limit are measured in turns. 100 % means that dropout costs nothing.\n");
    printf("%-7s %-18s %-5s %5s %11s %8s %9s\n", "ISA", "operation", "dtype", "p", "ns/element",
           "GB/s", "of limit");
}

/* Prints, after the columns, how the case differs from the usual one. */
static void print_unusual(const struct bench_case *c)
{
    static const char *const stores[] = {"", "  cached", "  streaming"};

    if (c->n != LIST_USUAL_N)
        printf("  n=%zu", c->n);
    if (c->rounds == 7)
        printf("  rounds=7");
    printf("%s", stores[c->stores]);
    if (c->form != case_usual_form(c))
        printf("  %s", case_form_name(c));
    if (c->place > 0)
        printf("  %s place", case_place_name(c));
    if (c->threads > 1)
        printf("  threads=%u", c->threads);
    puts("");
}

void table_row(const struct bench_case *c, struct timing t)
{
    char p[16] = "-";

    if (c->kind != LIMIT)
        snprintf(p, sizeof p, "%g", c->p);
    printf("%-7s %-18s %-5s %5s %11.3f %8.1f %7.0f %%",
           c->kind == OPERATION ? bitdrop_isa_name(c->isa) : "-", case_operation_name(c),
           case_dtype_name(c), p, 1e9 * t.call / (double)c->n,
           1e-9 * (double)case_bytes(c) / t.call, 100 * t.limit / t.call);
    print_unusual(c);
    fflush(stdout);
}

struct quick {
    unsigned isas, measured; /* bit isa each */
    double seconds;
};

static void quick_row(const struct bench_case *c, void *argument)
{
    struct quick *q = argument;
    struct bench_case copy = *c;
    const bool loop = c->kind != OPERATION;

    if (!list_in_quick(c) || !(loop || q->isas >> c->isa & 1))
        return;
    table_row(c, limit_time(&copy, q->seconds));
    q->measured |= loop ? 0 : 1U << c->isa;
}

unsigned table_quick(unsigned isas, double seconds)
{
    struct quick q = {isas, 0, seconds};

    memory_at_most(LIST_USUAL_N * sizeof(double)); /* enough for --quick, even on a small board */
    table_header();
    list_cases(quick_row, &q);
    return q.measured;
}
