/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static double at(const double *first, size_t stride, int i)
{
    return *(const double *)(const void *)((const char *)first + stride * (size_t)i);
}

void print_spread(const double *first, size_t stride, int n)
{
    double sum = 0, squares = 0;

    for (int i = 0; i < n; i++)
        sum += at(first, stride, i);
    for (int i = 0; i < n; i++) {
        const double d = at(first, stride, i) - sum / n;
        squares += d * d;
    }
    printf("  %.3f +- %.3f", sum / n, n > 1 ? sqrt(squares / (n - 1)) : 0);
}

void progress(int done, int total, const char *what)
{
    fprintf(stderr, isatty(STDERR_FILENO) ? "\r%d of %d %s%s" : "%d of %d %s%s", done, total, what,
            done == total || !isatty(STDERR_FILENO) ? "\n" : "");
    fflush(stderr);
}
