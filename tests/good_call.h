/* SPDX-License-Identifier: Apache-2.0 */
/* A legal call of every operation. check_status.c and check_overlap.c change its arguments. */
#ifndef BITDROP_TESTS_GOOD_CALL_H
#define BITDROP_TESTS_GOOD_CALL_H

#include "call.h"
#include "check.h"

enum { ARGUMENTS_N = 100, ARGUMENTS_ROWS = 4, ARGUMENTS_COLS = 25, INPUTS = BITDROP_MAX_INPUTS };

/* Buffers of 4 * ARGUMENTS_N elements each, and a mask of as many bytes. */
struct arguments_buffers {
    float in[INPUTS][4 * ARGUMENTS_N], y[4 * ARGUMENTS_N];
    uint8_t mask[4 * ARGUMENTS_N];
};
extern struct arguments_buffers buffers;

/* A call and the structs that it points to. A test may change a struct, or set its pointer in
 * `call` to NULL. */
struct arguments {
    struct call call;
    bitdrop_config cfg;
    bitdrop_2d shape;
    bitdrop_softmax soft;
    bool mask_as_given; /* else the mask is NULL for operations that do not use one */
};

/* The current values of a check's loops over flat and mask_use. */
struct setting {
    struct check *c;
    bool flat;
    uint8_t mask_use;
};

struct arguments arguments_good(const struct setting *s);

/* A set of operations: bit op is 1 if it has operation op. */
typedef unsigned long operations;

#define ALL ((operations)((1UL << BITDROP_OPERATION_COUNT) - 1))
operations with_data(void);
operations with_mask(void); /* that have a mask argument */
operations that_mark(void);
operations of_rows(void); /* that have a bitdrop_softmax */
operations that_make_noise(void);
operations that_use_mask(const struct setting *s);
operations that_write_mask(const struct setting *s);
operations that_make_bits(const struct setting *s);
operations that_read(const struct setting *s, int i); /* that read in[i] */
operations that_need(const struct setting *s, int i); /* whose in[i] must not be NULL */
operations that_read_kind(const struct setting *s, enum bitdrop_input kind);

/*
 * Runs each operation of the set. It must return the status, and write nothing if that is an error.
 */
void arguments_expect(const struct setting *s, const char *what, const struct arguments *a,
                      operations set, bitdrop_status wanted);

/* A legal call with a change. With EXPECT_ONLY all operations not in the set must accept it. */
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
