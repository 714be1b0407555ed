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
    double *number, *error;            /* dense, for the caller's use */
};

/* malloc that exits if there is no memory. */
void *tensor_allocate(size_t bytes);

/* A tensor with these strides, or with random ones if strides is NULL. */
struct tensor tensor_new(struct check *c, bitdrop_dtype t, const size_t count[3], size_t cols,
                         const size_t strides[3]);
void tensor_free(struct tensor *t);

size_t tensor_numbers(const struct tensor *t); /* how many elements it has */

/* Where element `dense` of a dense tensor lies in this one. */
unsigned char *tensor_element(const struct tensor *t, size_t dense);

/* Writes x, rounded to dtype, to element `dense` and to number[dense]. */
void tensor_put(struct tensor *t, size_t dense, double x);

/* Reads all elements. False if anything between or around the rows was written since tensor_new. */
bool tensor_read(struct tensor *t, double *number);

/* Copies the tensor to its shadow: guard_difference then finds any later write. */
void tensor_settle(struct tensor *t);

#endif
