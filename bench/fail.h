/* SPDX-License-Identifier: Apache-2.0 */
/* Prints an error and ends the program. */
#ifndef BITDROP_BENCH_FAIL_H
#define BITDROP_BENCH_FAIL_H

#include <stdio.h>
#include <stdlib.h>

static inline _Noreturn void fail(const char *why)
{
    fprintf(stderr, "benchmark: %s\n", why);
    exit(1);
}

#endif
