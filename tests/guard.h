/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers between two unmapped pages. Reads beyond a page fault, and writes outside of a buffer are
 * found by comparison with a shadow. */
#ifndef BITDROP_TESTS_GUARD_H
#define BITDROP_TESTS_GUARD_H

#include <stddef.h>

struct guard {
    unsigned char *base; /* the pages between the unmapped ones */
    size_t size;
    unsigned char *shadow; /* the bytes that the pages must hold */
};

/* At least size bytes. Exits if there is no memory. */
struct guard guard_new(size_t size);
void guard_free(struct guard *g);

/*
 * guard_reset fills the pages and their shadow with canaries. A buffer of n bytes may then lie at
 * guard_front(), gap bytes after the unmapped page in front of it, or at guard_back(), gap bytes
 * before the unmapped page behind it.
 */
void guard_reset(struct guard *g);
unsigned char *guard_front(const struct guard *g, size_t gap);
unsigned char *guard_back(const struct guard *g, size_t n, size_t gap);

/* The byte of the shadow that corresponds to p. */
unsigned char *guard_shadow(const struct guard *g, const unsigned char *p);

/* The first byte that differs from its shadow, or NULL. */
const unsigned char *guard_difference(const struct guard *g);

#endif
