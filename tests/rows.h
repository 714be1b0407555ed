/* SPDX-License-Identifier: Apache-2.0 */
/* A buffer of rows in guarded memory. */
#ifndef BITDROP_TESTS_ROWS_H
#define BITDROP_TESTS_ROWS_H

#include <stdbool.h>

#include "guard.h"

/* Bytes between the buffer and the unmapped page, which is in front or behind. */
struct place {
    size_t gap;
    bool behind;
};

struct rows {
    struct guard *guard;
    unsigned char *at;
    size_t count, bytes /* of a row */, stride;
};

/* From the first byte to the last. */
size_t rows_total(size_t count, size_t bytes, size_t stride);

/* In the smallest of three guards in which it fits, the contents of which are lost. */
struct rows rows_new(struct guard guards[3], size_t count, size_t bytes, size_t stride,
                     struct place place);

unsigned char *rows_shadow(const struct rows *r, size_t row);

/* Makes the real rows equal to their shadow. */
void rows_settle(const struct rows *r);

/* The row and byte in which p lies. False if it lies in none. */
bool rows_find(const struct rows *r, const unsigned char *p, size_t *row, size_t *byte);

#endif
