/* SPDX-License-Identifier: Apache-2.0 */
/* How the experiments on digits print. */
#ifndef REPORT_H
#define REPORT_H

#include <stddef.h>

/* "mean +- standard deviation" of n doubles that lie `stride` bytes apart. */
void print_spread(const double *first, size_t stride, int n);

/* Progress on stderr, on one line of a terminal. */
void progress(int done, int total, const char *what);

#endif
