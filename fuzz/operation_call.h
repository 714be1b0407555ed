/* SPDX-License-Identifier: Apache-2.0 */
/* A call of src/operations.h, shared by the files of the target `operations`. */
#ifndef BITDROP_FUZZ_OPERATION_CALL_H
#define BITDROP_FUZZ_OPERATION_CALL_H

#include "fuzz.h"
#include "tests/call.h"

enum { INPUTS = BITDROP_MAX_INPUTS };
enum { Y = INPUTS, MASK, LSE, BUFFERS }; /* numbers of buffers, after those of the inputs */
enum { MOST_ELEMENTS = 100000 };

/* If `wrong`, forward_gelu or backward_gelu gets an activation that does not exist. */
struct act {
    bool wrong;
    bitdrop_activation value;
};

struct operation {
    struct call call;
    bitdrop_config cfg;
    bitdrop_2d shape, filled; /* filled: by layout_filled */
    bitdrop_softmax soft;
    struct fuzz_parallel parallel;
    struct act act;
    struct fuzz_buffer b[BUFFERS];
    size_t size; /* bytes of an element */
    bool marks, of_rows, every_isa;
    bool in_place;
    int place; /* if in_place: the input that is y, or prob if x is prob */
};

static inline enum bitdrop_input kind_of(const struct operation *o, int i)
{
    return operation_row(o->call.op)->in[i];
}

static inline bool has_elements(const struct operation *o)
{
    return o->filled.rows > 0 && o->filled.cols > 0;
}

/* Chooses a call, which is legal in most cases, and the places of its buffers. */
void operation_choose(struct fuzz_input *in, struct operation *o);

/*
 * The status that the call must have. If it depends on overlaps, this declares the owners of all
 * bytes (memory_own). FUZZ_TOO_LARGE if the call is legal but needs more memory than there is.
 */
int operation_status(const struct operation *o);

#endif
