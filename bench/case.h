/* SPDX-License-Identifier: Apache-2.0 */
/* A case: one kind of call to measure. */
#ifndef BITDROP_BENCH_CASE_H
#define BITDROP_BENCH_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/call.h"

/* An operation of src/operations.h, or a loop of loops.h. Loops are flat calls of f32. */
enum case_kind { OPERATION, BY_HAND, LIMIT, MATH };

/*
 * Layout and optional inputs of an operation. Rows have 1,024 columns if nothing else is stated.
 * These are samples, because all combinations would be too many cases.
 */
enum case_form {
    FORM_FLAT,
    FORM_GAPS,     /* rows with a gap after each */
    FORM_ROWS,     /* rows without gaps, as all below: for operations without a flat call */
    FORM_NO_BIAS,  /* the bias is NULL */
    FORM_NO_THIRD, /* the third matrix is NULL, or the prob of softmax */
    FORM_REMADE,   /* BITDROP_MASK_REMADE */
    FORM_EACH_ROW, /* BITDROP_EACH_ROW */
    FORM_REPEAT,   /* rows share mask rows */
    FORM_SHORT,    /* rows of 128 columns, with gaps in x and y */
    FORM_RAGGED,   /* rows of 100 columns without gaps; n is a multiple of that */
    FORM_BARE,     /* of softmax: bias and prob are NULL */
    FORM_BARE_512, /* the same in rows of 512 columns */
    FORM_PIECES,   /* of a mask: 512 of 2,048 columns, as attention in blocks needs them */
    FORM_NARROW,   /* likewise 128 columns */
    FORM_COUNT
};

struct bench_case {
    enum bitdrop_operation op;
    enum case_kind kind;
    unsigned loop; /* index in the list of loops.h for this kind */
    bitdrop_isa isa;
    bitdrop_dtype dtype;
    double p;
    size_t n;
    unsigned rounds;  /* 0: ten */
    unsigned stores;  /* BITDROP_STORES_* */
    unsigned threads; /* 0: one. Each gets whole rows, or multiples of 2,048 elements */
    enum case_form form;
    int place; /* 0: the output has its own memory; i + 1: overwrites in[i] */
    size_t x_skew, y_skew, mask_skew; /* elements, elements and bytes past an aligned address */
    uint64_t offset;
};

enum { CASE_NAME_BYTES = 128, CASE_PLACES = BITDROP_MAX_INPUTS + 1 };

/* operation/form/isa/dtype/p/rounds/stores/n/place/threads */
void case_name(const struct bench_case *c, char name[CASE_NAME_BYTES]);
const char *case_operation_name(const struct bench_case *c);
const char *case_dtype_name(const struct bench_case *c); /* "-" if there is a mask and no data */
const char *case_form_name(const struct bench_case *c);
const char *case_place_name(const struct bench_case *c);

/* FORM_FLAT, or FORM_ROWS for an operation without a flat call. */
enum case_form case_usual_form(const struct bench_case *c);

/* Whether the operation has this form and place, and no other case measures the same. */
bool case_has_form(const struct bench_case *c);

/* Number of its elements that are in whole rows. */
size_t case_whole_rows(const struct bench_case *c);

/* Whether the call makes its keep bits, by seed, stream and rounds. */
bool case_makes_bits(const struct bench_case *c);

/* Bytes that one call reads and writes: all, and of the mask alone. */
size_t case_bytes(const struct bench_case *c);
size_t case_mask_bytes(const struct bench_case *c);

/* Fills the buffers. Prepare all cases that are measured in turns first; they have one dtype. */
void case_prepare(const struct bench_case *c);

/* Makes `calls` calls of a const struct bench_case. A body of measure.h. */
void case_repeat(void *argument, size_t calls);

#endif
