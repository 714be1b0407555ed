/* SPDX-License-Identifier: Apache-2.0 */
/* One call of a case while it runs, shared by case.c, case_buffers.c and case_report.c. */
#ifndef BITDROP_TESTS_CASE_RUNNING_H
#define BITDROP_TESTS_CASE_RUNNING_H

#include "call.h"
#include "case.h"
#include "reference.h"

enum { INPUTS = BITDROP_MAX_INPUTS };

struct running {
    struct check *c;
    const struct test_case *t;
    enum bitdrop_operation op;
    bitdrop_dtype dtype;
    size_t bytes; /* of an element */
    bool marks;   /* operation_marks */
    bitdrop_config cfg;
    bitdrop_2d shape, filled; /* as the call gets it, and as layout_filled returns it */
    const bool *made;         /* the generator's bit for each mask row and column */

    /* Drawn by running_choose, and placed by running_place. */
    bool stored;            /* the call has a mask in memory */
    bool null[INPUTS];      /* the input is NULL, or the call does not read it */
    bool in_place[INPUTS];  /* the output is this input */
    const void *in[INPUTS]; /* what the call gets */
    struct rows rows[INPUTS], y, mask;
    unsigned char *copy[INPUTS]; /* the inputs before the call, row after row without gaps */
};

/* Draws which buffers there are, and which are the same. */
void running_choose(struct running *r);

/* Places the buffers in the guards of each input, of y and of the mask, and fills them. */
void running_place(struct running *r, struct guard guards[INPUTS + 2][3]);

bool running_reads_mask(const struct running *r);
bool running_writes_mask(const struct running *r);

/* Element (row, col), with the result that the call must have. */
struct element running_element(const struct running *r, size_t row, size_t col);

/* Compares all buffers, and the memory around them, with their shadows. Reports differences. */
void running_compare(const struct running *r);

/* Reports a failure: the call's arguments, and `what` is wrong. */
void running_report(const struct running *r, const char *what);

#endif
