/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of bytes in guarded memory. */
#ifndef BITDROP_TESTS_ROWS_H
#define BITDROP_TESTS_ROWS_H

#include <stdbool.h>

#include "guard.h"

/* `gap` bytes lie between the buffer and an unmapped page, which is behind it or in front of it. */
struct place {
    size_t gap;
    bool behind;
};

struct rows {
    struct guard *guard;
    unsigned char *at;
    size_t count, bytes /* of a row */, stride /* from row to row, in bytes */;
};

/* The bytes from the start of the first row to the end of the last. */
size_t rows_total(size_t count, size_t bytes, size_t stride);

/* Places rows in the first of three guards that is large enough, and resets that guard. */
struct rows rows_new(struct guard guards[3], size_t count, size_t bytes, size_t stride,
                     struct place place);

unsigned char *rows_shadow(const struct rows *r, size_t row);

/* Copies the shadow to the rows. */
void rows_settle(const struct rows *r);

/* The row that p lies in, and which byte of the row it is. False if it lies in none. */
bool rows_find(const struct rows *r, const unsigned char *p, size_t *row, size_t *byte);

#endif
