/* SPDX-License-Identifier: Apache-2.0 */
/* How the experiments on digits print, and how they end where they cannot go on. */
#ifndef REPORT_H
#define REPORT_H

#include <bitdrop/bitdrop.h>
#include <stddef.h>

/* "mean +- standard deviation" of n doubles that lie `stride` bytes apart. */
void print_spread(const double *first, size_t stride, int n);

/* Progress on stderr, on one line of a terminal. */
void progress(int done, int total, const char *what);

/* Says what is wrong and ends the program with 1, unless the status is BITDROP_OK. */
void must(bitdrop_status status);

/* calloc that ends the program with 1 where memory runs out. */
void *allocate(size_t count, size_t size);

#endif
