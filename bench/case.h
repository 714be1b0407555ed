/* SPDX-License-Identifier: Apache-2.0 */
/* One thing to be timed, as data. */
#ifndef BITDROP_BENCH_CASE_H
#define BITDROP_BENCH_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/call.h"

/* An operation of src/operations.h, or one of loops.h: these are flat f32. */
enum case_kind { OPERATION, BY_HAND, LIMIT, MATH };

/*
 * How the elements of an operation lie, and what it is given. Rows have 1,024 columns unless said.
 * These are samples: the product of all that a call may be given would be too many cases.
 */
enum case_form {
    FORM_FLAT,
    FORM_GAPS,     /* rows with a gap behind each */
    FORM_ROWS,     /* rows without gaps, like all below: for operations without a flat call */
    FORM_NO_BIAS,  /* the bias is NULL */
    FORM_NO_THIRD, /* the third matrix is NULL, or the prob of softmax */
    FORM_REMADE,   /* BITDROP_MASK_REMADE */
    FORM_EACH_ROW, /* BITDROP_EACH_ROW */
    FORM_REPEAT,   /* rows share mask rows */
    FORM_SHORT,    /* rows of 128 columns, with gaps in x and y */
    FORM_RAGGED,   /* rows of 100 columns without gaps; n is a multiple of that */
    FORM_BARE,     /* of softmax: neither a bias nor a prob that is written */
    FORM_BARE_512, /* the same in rows of 512 columns */
    FORM_PIECES, /* of a mask: 512 columns of a matrix of 2,048, as blocked attention makes them */
    FORM_NARROW, /* likewise 128 columns */
    FORM_COUNT
};

struct bench_case {
    enum bitdrop_operation op;
    enum case_kind kind;
    unsigned loop; /* which of loops.h */
    bitdrop_isa isa;
    bitdrop_dtype dtype;
    double p;
    size_t n;
    unsigned rounds;  /* 0: ten */
    unsigned stores;  /* BITDROP_STORES_* */
    unsigned threads; /* 0: one. Each takes a cut at a multiple of 2048 elements, or rows */
    enum case_form form;
    int place;                        /* 0: the output has its own memory; i + 1: that of in[i] */
    size_t x_skew, y_skew, mask_skew; /* elements, elements and bytes beyond an aligned address */
    uint64_t offset;
};

enum { CASE_NAME_BYTES = 128, CASE_PLACES = BITDROP_MAX_INPUTS + 1 };

/* operation/form/isa/dtype/p/rounds/stores/n/place/threads */
void case_name(const struct bench_case *c, char name[CASE_NAME_BYTES]);
const char *case_operation_name(const struct bench_case *c);
const char *case_dtype_name(const struct bench_case *c); /* "-" of a mask alone */
const char *case_form_name(const struct bench_case *c);
const char *case_place_name(const struct bench_case *c);

/* Flat, or of an operation without a flat call rows. */
enum case_form case_usual_form(const struct bench_case *c);

/* Whether an operation has this form and place, and is nothing else under another name. */
bool case_has_form(const struct bench_case *c);

/* Its elements without those that are no whole row. */
size_t case_whole_rows(const struct bench_case *c);

/* Whether seed, stream and rounds are used. */
bool case_makes_bits(const struct bench_case *c);

/* What one call reads and writes in all, and of that the mask. */
size_t case_bytes(const struct bench_case *c);
size_t case_mask_bytes(const struct bench_case *c);

/* Of cases that are timed in turn, all are prepared first; one dtype goes at a time. */
void case_prepare(const struct bench_case *c);

/* Runs it so many times. The argument is a const struct bench_case: a body of measure.h. */
void case_repeat(void *argument, size_t calls);

#endif
