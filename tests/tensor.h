/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors [sample, head, row, element] in guarded memory, with strides and gaps. */
#ifndef BITDROP_TESTS_TENSOR_H
#define BITDROP_TESTS_TENSOR_H

#include "check.h"
#include "guard.h"

struct tensor {
    bitdrop_dtype dtype;
    struct guard guard;
    unsigned char *at;
    size_t count[3], strides[3], cols; /* strides in elements */
    double *number, *error;            /* dense, for whoever wants them */
};

/* Exits if there is no memory. */
void *tensor_allocate(size_t bytes);

/* With these strides, or with random ones if they are NULL. */
struct tensor tensor_new(struct check *c, bitdrop_dtype t, const size_t count[3], size_t cols,
                         const size_t strides[3]);
void tensor_free(struct tensor *t);

size_t tensor_numbers(const struct tensor *t); /* how many there are */

/* Where element `dense` of a dense tensor lies in this one. */
unsigned char *tensor_element(const struct tensor *t, size_t dense);

void tensor_put(struct tensor *t, size_t dense, double x); /* sets number[] to what it became */

/* Reads all elements. False if anything outside of the rows was written since the tensor was made.
 */
bool tensor_read(struct tensor *t, double *number);

/* Nothing may be written from here on. */
void tensor_settle(struct tensor *t);

#endif
