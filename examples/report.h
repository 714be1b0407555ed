/* SPDX-License-Identifier: Apache-2.0 */
/* Output of the experiments on digits. */
#ifndef REPORT_H
#define REPORT_H

#include <stddef.h>

/* Prints "mean +- standard deviation" of n doubles, with `stride` bytes from one to the next. */
void print_spread(const double *first, size_t stride, int n);

/* Prints progress on stderr. On a terminal each call overwrites the line of the last. */
void progress(int done, int total, const char *what);

#endif
