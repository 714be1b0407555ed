/* SPDX-License-Identifier: Apache-2.0 */
/* How the examples end where they cannot go on. meson.build defines PROGRAM, the example's name. */
#ifndef MUST_H
#define MUST_H

#include <bitdrop/bitdrop.h>
#include <stddef.h>

/* Says what is wrong and ends the program with 1, unless the status is BITDROP_OK. */
void must(bitdrop_status status);

/* calloc that ends the program with 1 where memory runs out. */
void *allocate(size_t count, size_t size);

#endif
