/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call of the library as data, and what src/operations.h says of each operation, so that tests
 * and benchmarks can loop over all of them.
 */
#ifndef BITDROP_TESTS_CALL_H
#define BITDROP_TESTS_CALL_H

#include <stdbool.h>

#include "bitdrop/bitdrop.h"
#include "operations.h"

struct call {
    enum bitdrop_operation op;
    bool flat; /* n elements; else a shape */
    const bitdrop_config *cfg;
    bitdrop_dtype dtype;
    size_t n;
    const bitdrop_2d *shape;
    const void *in[BITDROP_MAX_INPUTS]; /* as in the list; those that the call lacks are ignored */
    void *y;
    uint8_t *mask;
    const bitdrop_softmax *soft; /* but its bias, which is among the inputs. NULL: all is 0 */
    bool no_soft;                /* the call gets NULL */
};

/* An operation without a flat call runs on one row of n elements instead. */
bitdrop_status call_run(const struct call *c);

/* The row of the list. */
const struct bitdrop_operation_row *operation_row(enum bitdrop_operation op);

const char *operation_name(enum bitdrop_operation op);

/* Whether the call has a y, and whether it has a mask argument. */
bool operation_has_data(enum bitdrop_operation op);
bool operation_has_mask(enum bitdrop_operation op);

/* Whether a mask goes to or comes from memory: a mask argument is used and not NULL. */
bool operation_uses_mask(enum bitdrop_operation op, unsigned mask_use);

/* Whether seed, stream and offset are used. */
bool operation_makes_bits(enum bitdrop_operation op, unsigned mask_use);

/* p, or where the operation does not take that another one. */
double operation_p(enum bitdrop_operation op, double p);

/* Whether in[i] is looked at. With a stored mask some operations look at fewer. */
bool operation_reads(enum bitdrop_operation op, unsigned mask_use, int i);

/* Whether a stored mask holds one bit for each element, whatever the unit and mask_repeat are. */
bool operation_marks(enum bitdrop_operation op);

/* Whether an element of the output depends on its whole row: a call with a bitdrop_softmax. */
bool operation_of_rows(enum bitdrop_operation op);

const char *dtype_name(bitdrop_dtype t);
size_t dtype_bytes(bitdrop_dtype t);

#endif
