/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of the OS that guard.c needs. guard_posix.c or guard_windows.c has them. */
#ifndef BITDROP_TESTS_GUARD_PAGES_H
#define BITDROP_TESTS_GUARD_PAGES_H

#include <stddef.h>

size_t guard_page(void); /* bytes */

/* Maps whole pages of `size` bytes between two pages that fault. Exits if there is no memory. */
unsigned char *guard_map(size_t size);
void guard_unmap(unsigned char *base, size_t size);

#endif
