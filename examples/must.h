/* SPDX-License-Identifier: Apache-2.0 */
/* How the examples end after an error. meson.build defines PROGRAM, the example's name. */
#ifndef MUST_H
#define MUST_H

#include <bitdrop/bitdrop.h>
#include <stddef.h>

/* If the status is not BITDROP_OK, prints it and ends the program with 1. */
void must(bitdrop_status status);

/* calloc. If memory runs out, ends the program with 1. */
void *allocate(size_t count, size_t size);

#endif
