/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DIGITS_DATA_H
#define DIGITS_DATA_H

#include <stddef.h>

enum { PIXELS = 64, CLASSES = 10, DIGITS_MAX = 4000 };

struct digits {
    size_t count;
    float (*pixels)[PIXELS]; /* 0 to 1 */
    unsigned char *label;    /* 0 to 9 */
};

/*
 * Reads at least `least` lines, gzipped or not. A line has 64 pixels (0 to 16) and a label, all
 * integers with commas between. If the file is missing or wrong, prints the error and the number of
 * the line on stderr, and ends the program with 1.
 */
struct digits digits_read(const char *path, size_t least);
void digits_free(struct digits *d);

/* The copy must be freed too. */
struct digits digits_copy(const struct digits *d);

#endif
