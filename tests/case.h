/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A case has the arguments of a call and the places of its buffers. case_run makes this call with
 * each operation and dtype and compares it with the reference. For each it draws at random which
 * operands are NULL, which inputs are the output, and whether the mask is stored or remade.
 */
#ifndef BITDROP_TESTS_CASE_H
#define BITDROP_TESTS_CASE_H

#include "check.h"
#include "operations.h"
#include "rows.h"

/* The most elements of a case, and the most bytes of a buffer, with the gaps between its rows. */
enum { CASE_ELEMENTS = 1 << 17, CASE_BYTES = 1 << 20 };

struct test_case {
    bitdrop_config cfg; /* mask_use is drawn */
    bitdrop_2d shape;
    bool flat;        /* the call has no shape; rows is 1 */
    bool in_place;    /* the output is one of the inputs, or all of them */
    bool overlapping; /* the inputs and a mask that is read overlap. Excludes in_place */
    struct place in[BITDROP_MAX_INPUTS], y, mask;
};

/* A flat case of n elements. Everything else is random. */
struct test_case case_random(struct check *c, size_t n);

/*
 * Draws the place of t->shape in a larger matrix: first_row and offset. rows, cols and pitch must
 * be set. If `last`, the indices end at 2^64, which is the last legal end.
 */
void case_place(struct check *c, struct test_case *t, bool last);

/* Runs small cases with every dtype, and larger ones with one dtype drawn for each operation. */
void case_run(struct check *c, const struct test_case *t);

#endif
