/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mixed calls from several threads. Each is compared byte for byte with an answer that one thread
 * made before. The scalar ISA makes the answer. For the values of attention the same ISA makes it,
 * because they differ between ISAs. A call follows from its number, so it can be repeated.
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
    KIND_MASKS, /* DropBlock, and what works on masks alone */
    KINDS
};

enum { REGIONS = 6, MARGIN = 64 /* bytes on both sides of an output, which nobody may write */ };

/* An output in memory. */
struct region {
    unsigned char *base, *at;
    size_t allocated, bytes;
};

/* One of the threads, and its call. */
struct worker {
    uint64_t number;
    struct check c;  /* random numbers that follow from it */
    char text[600];  /* the arguments */
    size_t most;     /* elements */
    bitdrop_isa isa; /* of the variant that runs now, */
    const char *run; /* how it is shared out, */
    bitdrop_parallel parallel;
    struct region wanted[REGIONS], got[REGIONS], scratch;

    uint64_t calls[KINDS][BITDROP_ISA_COUNT];
    uint64_t bytes; /* compared */
};

/* What calls read, for each dtype. */
struct pools {
    unsigned char *any[BITDROP_DTYPE_COUNT]; /* a quarter are specials. The bytes serve as masks */
    unsigned char *numbers[BITDROP_DTYPE_COUNT];
};
extern struct pools pools;

/* Inputs of `most` elements fit, with a quarter more for gaps, at each of POOL_MORE places. */
enum { POOL_MORE = 4096 };
void pools_fill(size_t most);

/* Makes the calls of one kind, and compares them. */
void operations_run(struct worker *w, enum bitdrop_operation op);
void attention_run(struct worker *w);
void masks_run(struct worker *w);

/* From 1 to most, each order of magnitude as likely as another. */
size_t draw_size(struct check *c, size_t most);

/* The elements of a pool from a random one on. */
const void *draw_input(struct check *c, unsigned char *const pool[], bitdrop_dtype t);

/* The config of an answer: by one thread. Counts the call. */
void answer(struct worker *w, int kind, bitdrop_isa isa, bitdrop_config *cfg);

/* The config of a variant: random stores, and maybe threads to be shared out among. */
void vary(struct worker *w, int kind, bitdrop_isa isa, bitdrop_config *cfg);

/*
 * Makes a region `bytes` long, which begins `gap` bytes, fewer than 64, behind an address that is
 * aligned to 64. It holds `content`, or bytes that are always the same if that is NULL.
 */
void region_set(struct region *r, size_t bytes, size_t gap, const void *content);

/* A random gap of elements. */
size_t draw_gap(struct check *c, bitdrop_dtype t);

/* Whether both regions have the same bytes, and both margins. NaNs of dtype t are the same. */
bool regions_same(const struct region *a, const struct region *b, const bitdrop_dtype *t);

/* got[i] must be wanted[i], and the status OK. Otherwise prints the call and ends the program. */
void expect_same(struct worker *w, int i, const char *name, const bitdrop_dtype *t);
void expect_ok(struct worker *w, bitdrop_status status);
_Noreturn void deviation(const struct worker *w, const char *what, const char *name);

#endif
