/* SPDX-License-Identifier: Apache-2.0 */
/* One call's arguments and where its buffers lie; all kernels and dtypes of it against the oracle.
 */
#ifndef BITDROP_TESTS_CASE_H
#define BITDROP_TESTS_CASE_H

#include "check.h"

/* Elements that a case may have, and bytes of a buffer with the gaps between its rows. */
enum { CASE_ELEMENTS = 1 << 17, CASE_BYTES = 1 << 20 };

/* Bytes between the buffer and the unmapped page, which is in front or behind. */
struct place {
    size_t gap;
    bool behind;
};

struct test_case {
    bitdrop_config cfg;
    bitdrop_2d shape;
    bool flat; /* by the calls without _2d; then rows is 1 */
    bool in_place;
    struct place x, y, mask;
};

/* A flat case of n elements, all else random. */
struct test_case case_random(struct check *c, size_t n);

/* Runs every kernel on every dtype. */
void case_run(struct check *c, const struct test_case *t);

#endif
