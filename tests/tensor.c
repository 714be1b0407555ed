/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor.h"

#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "oracle.h"

void *tensor_allocate(size_t bytes)
{
    void *p = malloc(bytes);

    if (p == NULL) {
        perror("malloc");
        exit(2);
    }
    return p;
}

size_t tensor_numbers(const struct tensor *t)
{
    return t->count[0] * t->count[1] * t->count[2] * t->cols;
}

unsigned char *tensor_element(const struct tensor *t, size_t dense)
{
    const size_t col = dense % t->cols, row = dense / t->cols;
    const size_t head = row / t->count[2], sample = head / t->count[1];

    return t->at + (sample * t->strides[0] + head % t->count[1] * t->strides[1] +
                    row % t->count[2] * t->strides[2] + col) *
                       dtype_bytes(t->dtype);
}

/* Draws strides: dense, or samples, heads and rows in one of the usual orders, with random gaps. */
static void choose_strides(struct check *c, struct tensor *t)
{
    static const int orders[3][3] = {{2, 1, 0}, {1, 2, 0}, {1, 0, 2}};
    const bool dense = check_below(c, 3) == 0;
    const int *order = orders[dense ? 0 : check_below(c, 3)];
    size_t stride = t->cols + (dense || check_below(c, 2) ? 0 : check_below(c, 9));

    for (int i = 0; i < 3; i++) {
        t->strides[order[i]] = stride;
        stride *= t->count[order[i]];
        stride += !dense && check_below(c, 3) == 0 ? check_below(c, 5) : 0;
    }
}

struct tensor tensor_new(struct check *c, bitdrop_dtype dtype, const size_t count[3], size_t cols,
                         const size_t strides[3])
{
    struct tensor t = {.dtype = dtype, .count = {count[0], count[1], count[2]}, .cols = cols};

    if (strides == NULL)
        choose_strides(c, &t);
    else
        memcpy(t.strides, strides, sizeof t.strides);
    t.number = tensor_allocate(tensor_numbers(&t) * sizeof *t.number);
    t.error = tensor_allocate(tensor_numbers(&t) * sizeof *t.error);

    const size_t bytes = dtype_bytes(dtype);
    const size_t total = (size_t)(tensor_element(&t, tensor_numbers(&t) - 1) - t.at) + bytes;
    t.guard = guard_new(total);
    guard_reset(&t.guard);
    t.at = check_below(c, 2) ? guard_front(&t.guard, 0) : guard_back(&t.guard, total, 0);
    return t;
}

void tensor_free(struct tensor *t)
{
    guard_free(&t->guard);
    free(t->number);
    free(t->error);
}

void tensor_put(struct tensor *t, size_t dense, double x)
{
    unsigned char *at = tensor_element(t, dense);

    oracle_put(t->dtype, x, at);
    t->number[dense] = oracle_number(t->dtype, at);
}

bool tensor_read(struct tensor *t, double *number)
{
    for (size_t i = 0; i < tensor_numbers(t); i++) {
        const unsigned char *at = tensor_element(t, i);

        number[i] = oracle_number(t->dtype, at);
        memcpy(guard_shadow(&t->guard, at), at, dtype_bytes(t->dtype));
    }
    return guard_difference(&t->guard) == NULL;
}

void tensor_settle(struct tensor *t) { memcpy(t->guard.shadow, t->guard.base, t->guard.size); }
