/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of a library call in a struct, and the facts that src/operations.h lists about each
 * operation. With these, tests and benchmarks can loop over all operations.
 */
#ifndef BITDROP_TESTS_CALL_H
#define BITDROP_TESTS_CALL_H

#include <stdbool.h>

#include "bitdrop/bitdrop.h"
#include "operations.h"

struct call {
    enum bitdrop_operation op;
    bool flat; /* the call gets n; else it gets shape */
    const bitdrop_config *cfg;
    bitdrop_dtype dtype;
    size_t n;
    const bitdrop_2d *shape;
    const void *in[BITDROP_MAX_INPUTS]; /* as in the list; the call ignores those that it lacks */
    void *y;
    uint8_t *mask;
    const bitdrop_softmax *soft; /* with in[1] as its bias. NULL: all members are 0 */
    bool no_soft;                /* the call gets NULL instead of soft */
};

/* An operation without a flat call runs on one row of n elements instead. */
bitdrop_status call_run(const struct call *c);

/* The operation's row of BITDROP_OPERATIONS. */
const struct bitdrop_operation_row *operation_row(enum bitdrop_operation op);

const char *operation_name(enum bitdrop_operation op);

/* Whether the call has a y, and whether it has a mask argument. */
bool operation_has_data(enum bitdrop_operation op);
bool operation_has_mask(enum bitdrop_operation op);

/* Whether the call reads or writes a mask in memory. Its mask argument must not be NULL then. */
bool operation_uses_mask(enum bitdrop_operation op, unsigned mask_use);

/* Whether the call uses seed, stream and offset. */
bool operation_makes_bits(enum bitdrop_operation op, unsigned mask_use);

/* p, or a legal value instead of p if the operation does not accept it. */
double operation_p(enum bitdrop_operation op, double p);

/* Whether the call reads in[i]. With a stored mask some operations read fewer inputs. */
bool operation_reads(enum bitdrop_operation op, unsigned mask_use, int i);

/* Whether a stored mask holds one bit for each element, whatever the unit and mask_repeat are. */
bool operation_marks(enum bitdrop_operation op);

/* Whether an element of the output depends on its whole row: a call with a bitdrop_softmax. */
bool operation_of_rows(enum bitdrop_operation op);

const char *dtype_name(bitdrop_dtype t);
size_t dtype_bytes(bitdrop_dtype t);

#endif
