/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mixed calls from several threads. The outputs of each are compared byte for byte with an answer
 * that was made on one thread. The scalar ISA makes the answer. Only for the values of attention,
 * which differ between ISAs, the same ISA makes it. The number of a call determines all of its
 * arguments, so it can be repeated.
 */
#ifndef BITDROP_TESTS_LONG_RUN_H
#define BITDROP_TESTS_LONG_RUN_H

#include "../call.h"
#include "../check.h"
#include "../runs.h"
#include "kernels.h"

/* The operations of the list, and two more kinds of calls. */
enum {
    KIND_ATTENTION = BITDROP_OPERATION_COUNT,
    KIND_MASKS, /* DropBlock, and calls on masks alone */
    KINDS
};

enum { REGIONS = 6, MARGIN = 64 /* bytes on both sides of an output, which no call may write */ };

/* An output in memory. */
struct region {
    unsigned char *base, *at;
    size_t allocated, bytes;
};

/* One of the threads, and its call. */
struct worker {
    uint64_t number;
    struct check c;       /* random numbers, which `number` determines */
    char text[600];       /* the arguments */
    size_t most;          /* elements, at most */
    bitdrop_isa isa;      /* of the call that runs now, */
    const char *callback; /* and the name of its `run` */
    bitdrop_parallel parallel;
    struct region wanted[REGIONS], got[REGIONS], scratch;

    uint64_t calls[KINDS][BITDROP_ISA_COUNT];
    uint64_t bytes; /* compared */
};

/* The elements that calls read, for each dtype. */
struct pools {
    unsigned char *any[BITDROP_DTYPE_COUNT]; /* a quarter are specials. Masks are read here too */
    unsigned char *numbers[BITDROP_DTYPE_COUNT];
};
extern struct pools pools;

/* A pool is large enough for inputs of `most` elements, with gaps of a quarter as many, that begin
 * at any of its first POOL_PLACES elements. */
enum { POOL_PLACES = 4096 };
void pools_fill(size_t most);

/* Makes the calls of one kind, and compares them. */
void operations_run(struct worker *w, enum bitdrop_operation op);
void attention_run(struct worker *w);
void masks_run(struct worker *w);

/* A size from 1 to most. Each power of 2 is equally likely to be the size, rounded down. */
size_t draw_size(struct check *c, size_t most);

/* A random place in a pool, from which a call reads its elements. */
const void *draw_input(struct check *c, unsigned char *const pool[], bitdrop_dtype t);

/* Sets cfg for an answer: the ISA, and one thread. Counts the call. */
void answer(struct worker *w, int kind, bitdrop_isa isa, bitdrop_config *cfg);

/* Sets cfg for a call to compare: the ISA, random stores, and at random tasks. Counts the call. */
void vary(struct worker *w, int kind, bitdrop_isa isa, bitdrop_config *cfg);

/*
 * Makes a region of `bytes` bytes. It begins `gap` bytes, fewer than 64, after an address that is
 * aligned to 64. Fills it with `content`, or with a constant byte if content is NULL.
 */
void region_set(struct region *r, size_t bytes, size_t gap, const void *content);

/* A random gap for region_set, of whole elements. */
size_t draw_gap(struct check *c, bitdrop_dtype t);

/* Whether two regions have the same bytes, and their margins too. NaNs of dtype *t count as the
 * same, unless t is NULL. */
bool regions_same(const struct region *a, const struct region *b, const bitdrop_dtype *t);

/* expect_same checks that got[i] is wanted[i], and expect_ok the status. If a check fails,
 * deviation prints the call and ends the program. */
void expect_same(struct worker *w, int i, const char *name, const bitdrop_dtype *t);
void expect_ok(struct worker *w, bitdrop_status status);
_Noreturn void deviation(const struct worker *w, const char *what, const char *name);

#endif
