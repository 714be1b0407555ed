/* SPDX-License-Identifier: Apache-2.0 */
/* The targets of attention: dropout in it must cost almost nothing. */
#include <stdio.h>

#include "attention.h"
#include "measure.h"
#include "target_rows.h"

/* A forward and a backward call with dropout, compared with the same calls without. */
static void attention_dropout_row(bitdrop_isa isa, bitdrop_dtype t, double most, double seconds)
{
    struct attention_case with = {&attention_sizes[ATTENTION_T512], isa, t, 0.1}, without = with;
    const double scores = attention_scores(&with);
    char what[128];
    double time[2];

    without.p = 0;
    attention_prepare(&without);
    attention_prepare(&with);
    measure((struct body[]){{attention_repeat, &with, 1}, {attention_repeat, &without, 1}}, 2,
            seconds, time);
    snprintf(what, sizeof what, "%-6s %-14s %-4s p=%-4g %s, and backward", bitdrop_isa_name(isa),
             "attention", dtype_name(t), with.p, with.sizes->name);
    print_row(what, 1e9 * time[0] / scores, 1e9 * time[1] / scores, time[0] / time[1], "<=", most,
              time[0] / time[1] <= most);
}

static void attention_rows_of(bitdrop_isa isa, double seconds)
{
    attention_dropout_row(isa, BITDROP_F32, 1.05, seconds);
    attention_dropout_row(isa, BITDROP_BF16, 1.08, seconds);
}

void attention_rows(bitdrop_isa isa, double seconds)
{
    attention_rows_of(isa, seconds);
    if (isa == BITDROP_ISA_AVX512)
        attention_rows_of(BITDROP_ISA_AVX2, seconds);
}
