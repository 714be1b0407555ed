/* SPDX-License-Identifier: Apache-2.0 */
/* One operation of a case while it runs: what case.c, case_buffers.c and case_report.c share. */
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
    bitdrop_2d shape, full; /* as the call gets it, and filled */
    const bool *made;       /* the generator's bit for each mask row and column */

    /* The set of buffers. */
    bool stored;            /* a mask is in memory */
    bool null[INPUTS];      /* or not there at all */
    bool in_place[INPUTS];  /* the output is this input */
    const void *in[INPUTS]; /* what the call gets */
    struct rows rows[INPUTS], y, mask;
    unsigned char *copy[INPUTS]; /* of the inputs as they were, row after row */
};

/* Draws the set of buffers. */
void running_choose(struct running *r);

/* Places and fills them: guards of each input, of y and of the mask. */
void running_place(struct running *r, struct guard guards[INPUTS + 2][3]);

bool running_reads_mask(const struct running *r);
bool running_writes_mask(const struct running *r);

/* Element (row, col), with what the call must make of it. */
struct element running_element(const struct running *r, size_t row, size_t col);

/* Compares all buffers, and all around them, with their shadows, and reports the first fault. */
void running_compare(const struct running *r);

void running_report(const struct running *r, const char *what);

#endif
