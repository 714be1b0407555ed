/* SPDX-License-Identifier: Apache-2.0 */
/* Computes where the elements of a shape and their mask bits are, as "Index" of docs/reference.md
 * says. */
#ifndef BITDROP_TESTS_LAYOUT_H
#define BITDROP_TESTS_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitdrop/bitdrop.h"

/* The shape with each 0 replaced by the default that it stands for. */
bitdrop_2d layout_filled(const bitdrop_2d *shape);

/* Below, s is a filled shape, and r a row of the call. */

/* The number of row r's mask row. Row 0 has mask row 0. */
size_t layout_group(const bitdrop_2d *s, size_t r);

/* How many indices the call spans, from offset to its last one. */
uint64_t layout_indices(const bitdrop_2d *s);

/* The absolute index of element (r, c). */
uint64_t layout_index(const bitdrop_2d *s, uint64_t offset, size_t r, size_t c);

/*
 * A mask in memory: rows of bytes. The mask of a marking operation (operation_marks) has a row for
 * each row of the call.
 */
struct layout_mask {
    size_t rows, bytes /* of a row */, stride;
};

struct layout_mask layout_mask(const bitdrop_2d *s, bool marks);

/* The mask bit of element (r, c), counted from bit 0 of the mask's first byte. */
size_t layout_bit(const bitdrop_2d *s, bool marks, size_t r, size_t c);

#endif
