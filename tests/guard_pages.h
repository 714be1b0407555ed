/* SPDX-License-Identifier: Apache-2.0 */
/* What guard.c needs of the OS: guard_posix.c or guard_windows.c. */
#ifndef BITDROP_TESTS_GUARD_PAGES_H
#define BITDROP_TESTS_GUARD_PAGES_H

#include <stddef.h>

size_t guard_page(void); /* bytes */

/* size bytes, whole pages, between two that fault. Exits if there is no memory. */
unsigned char *guard_map(size_t size);
void guard_unmap(unsigned char *base, size_t size);

#endif
