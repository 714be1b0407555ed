/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers between two unmapped pages, in memory that remembers what was written outside of them. */
#ifndef BITDROP_TESTS_GUARD_H
#define BITDROP_TESTS_GUARD_H

#include <stddef.h>

struct guard {
    unsigned char *base; /* the pages between the unmapped ones */
    size_t size;
    unsigned char *shadow; /* what they ought to hold */
};

/* At least size bytes. Exits if there is no memory. */
struct guard guard_new(size_t size);
void guard_free(struct guard *g);

/*
 * Fills the pages and their shadow with canaries. Then a buffer of n bytes lies at guard_front(),
 * gap bytes from the page in front, or at guard_back(), gap bytes from the page behind.
 */
void guard_reset(struct guard *g);
unsigned char *guard_front(const struct guard *g, size_t gap);
unsigned char *guard_back(const struct guard *g, size_t n, size_t gap);

/* The byte of the shadow that stands for p. */
unsigned char *guard_shadow(const struct guard *g, const unsigned char *p);

/* The first byte that differs from its shadow, or NULL. */
const unsigned char *guard_difference(const struct guard *g);

#endif
