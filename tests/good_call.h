/* SPDX-License-Identifier: Apache-2.0 */
/* A good call of every operation, to be changed in one place or two: what check_status.c and
 * check_overlap.c share. */
#ifndef BITDROP_TESTS_GOOD_CALL_H
#define BITDROP_TESTS_GOOD_CALL_H

#include "call.h"
#include "check.h"

enum { ARGUMENTS_N = 100, ARGUMENTS_ROWS = 4, ARGUMENTS_COLS = 25, INPUTS = BITDROP_MAX_INPUTS };

/* Buffers of four times N elements each, and a mask of as many bytes. */
struct arguments_buffers {
    float in[INPUTS][4 * ARGUMENTS_N], y[4 * ARGUMENTS_N];
    uint8_t mask[4 * ARGUMENTS_N];
};
extern struct arguments_buffers buffers;

/* A call with its config and shape, either of which a test may change, or set to NULL in call. */
struct arguments {
    struct call call;
    bitdrop_config cfg;
    bitdrop_2d shape;
    bitdrop_softmax soft;
    bool mask_as_given; /* else there is none where mask_use wants none */
};

/* What the loops over flat and mask_use have come to. */
struct setting {
    struct check *c;
    bool flat;
    uint8_t mask_use;
};

struct arguments arguments_good(const struct setting *s);

/* Sets of operations, bit op of each. */
typedef unsigned long operations;

#define ALL ((operations)((1UL << BITDROP_OPERATION_COUNT) - 1))
operations with_data(void);
operations with_mask(void); /* a mask argument */
operations that_mark(void);
operations of_rows(void); /* that have a bitdrop_softmax */
operations that_make_noise(void);
operations that_use_mask(const struct setting *s);
operations that_write_mask(const struct setting *s);
operations that_make_bits(const struct setting *s);
operations that_read(const struct setting *s, int i); /* in[i] */
operations that_need(const struct setting *s, int i); /* in[i], which must not be NULL */
operations that_read_kind(const struct setting *s, enum bitdrop_input kind);

/*
 * Each operation of the set returns the status; if that is an error, nothing is written. No other
 * operation is run.
 */
void arguments_expect(const struct setting *s, const char *what, const struct arguments *a,
                      operations set, bitdrop_status wanted);

/* A good call with a change. The rest of the operations must accept it. */
#define EXPECT(change, set, status)                                                                \
    do {                                                                                           \
        struct arguments a = arguments_good(s);                                                    \
        change;                                                                                    \
        arguments_expect(s, #change, &a, set, status);                                             \
    } while (0)

#define EXPECT_ONLY(change, set, status)                                                           \
    do {                                                                                           \
        EXPECT(change, set, status);                                                               \
        EXPECT(change, ALL & ~(set), BITDROP_OK);                                                  \
    } while (0)

#endif
