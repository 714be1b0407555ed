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
 * Reads lines of 64 pixels (0 to 16) and a label, all integers with commas between, gzipped or not;
 * at least so many. A file that is missing or wrong is told of on stderr, with the line, and ends
 * the program with 1.
 */
struct digits digits_read(const char *path, size_t least);
void digits_free(struct digits *d);

/* To be freed as well. */
struct digits digits_copy(const struct digits *d);

#endif
