/* SPDX-License-Identifier: Apache-2.0 */
/* A call of src/operations.h while it is fuzzed: what the files of this target share. */
#ifndef BITDROP_FUZZ_OPERATION_CALL_H
#define BITDROP_FUZZ_OPERATION_CALL_H

#include "fuzz.h"
#include "tests/call.h"

enum { INPUTS = BITDROP_MAX_INPUTS };
enum { Y = INPUTS, MASK, LSE, BUFFERS }; /* behind the inputs */
enum { MOST_ELEMENTS = 100000 };

/* An activation that there is not, in a call with the arguments of forward_gelu or backward_gelu.
 */
struct act {
    bool wrong;
    bitdrop_activation value;
};

struct operation {
    struct call call;
    bitdrop_config cfg;
    bitdrop_2d shape, filled; /* filled: without the zeros that stand for something */
    bitdrop_softmax soft;
    struct fuzz_parallel parallel;
    struct act act;
    struct fuzz_buffer b[BUFFERS];
    size_t size; /* bytes of an element */
    bool marks, of_rows, every_isa;
    bool in_place;
    int place; /* the input that y is, or prob that x is */
};

static inline enum bitdrop_input kind_of(const struct operation *o, int i)
{
    return operation_row(o->call.op)->in[i];
}

static inline bool has_elements(const struct operation *o)
{
    return o->filled.rows > 0 && o->filled.cols > 0;
}

/* A call, mostly a good one, and where its buffers lie. */
void operation_choose(struct fuzz_input *in, struct operation *o);

/*
 * The status that the call must have. If its buffers were looked at for that, the memory knows who
 * owns which bytes. FUZZ_TOO_LARGE: a right call, but of more memory than there is.
 */
int operation_status(const struct operation *o);

#endif
