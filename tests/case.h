/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call's arguments and where its buffers lie. All operations and dtypes of it run against the
 * reference, each with a set of buffers that is drawn at random: which operands are NULL, which
 * inputs the output is, and whether the mask is stored or remade.
 */
#ifndef BITDROP_TESTS_CASE_H
#define BITDROP_TESTS_CASE_H

#include "check.h"
#include "operations.h"
#include "rows.h"

/* Elements that a case may have, and bytes of a buffer with the gaps between its rows. */
enum { CASE_ELEMENTS = 1 << 17, CASE_BYTES = 1 << 20 };

struct test_case {
    bitdrop_config cfg; /* but mask_use */
    bitdrop_2d shape;
    bool flat;        /* by the calls without a shape; then rows is 1 */
    bool in_place;    /* the output is one of the inputs, or two that are the same */
    bool overlapping; /* the inputs and a mask that is read lie across one another; not in place */
    struct place in[BITDROP_MAX_INPUTS], y, mask;
};

/* A flat case of n elements, all else random. */
struct test_case case_random(struct check *c, size_t n);

/*
 * A random place in a larger matrix for t->shape, of which rows, cols and pitch are set: first_row,
 * and an offset that ends at 2^64 if `last`, the last legal end.
 */
void case_place(struct check *c, struct test_case *t, bool last);

/* Small cases run with every dtype, larger ones with one that is drawn for each operation. */
void case_run(struct check *c, const struct test_case *t);

#endif
