/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of one ISA. They need no test framework: the native suite wraps each in a Criterion
 * test, and bitdrop-selftest runs them on machines that have none.
 */
#ifndef BITDROP_TESTS_CHECK_H
#define BITDROP_TESTS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bitdrop/bitdrop.h"
#include "isas.h"

#ifdef __MINGW_PRINTF_FORMAT /* MinGW has two formats, and "printf" is the one without %zu */
#define CHECK_PRINTF __MINGW_PRINTF_FORMAT
#else
#define CHECK_PRINTF printf
#endif

struct check {
    bitdrop_isa isa; /* one that is built */
    uint64_t random; /* the state of check_random */
    uint64_t seed;   /* its first state, which is printed with a failure */
    unsigned thin;   /* checks take 1 in `thin` samples: 1 natively, more under emulation */
    size_t cases;    /* compared so far */
    size_t failures;
};

/* X(name, what it checks) */
#define CHECKS(X)                                                                                  \
    X(philox, "Random123's published answers, and Philox against the oracle")                      \
    X(vocabulary, "each operation of vec.h, specials included")                                    \
    X(golden_masks, "masks.txt, masks-hex.txt and masks-deep.txt")                                 \
    X(mask_hash, "a hash of masks, the same on every machine, against the oracle")                 \
    X(value_hash, "a hash of the values of each operation, against the reference")                 \
    X(golden_values, "values.txt")                                                                 \
    X(every_length, "n from 0 to 4,200 and larger, all kernels and dtypes")                        \
    X(every_offset, "offsets around the edges of bytes, words, blocks, tiles and counters")        \
    X(every_probability, "listed and random p, both scalings and round counts")                    \
    X(every_alignment, "data and masks at each alignment, against unmapped pages")                 \
    X(large_calls, "calls that stream their stores")                                               \
    X(matrices, "two dimensions: pitch, strides, units, shared mask rows, first rows")             \
    X(every_width, "rows of every width")                                                          \
    X(short_rows, "many rows of few columns")                                                      \
    X(half_values, "all 65,536 values of f16 and bf16 through each kernel")                        \
    X(blocks, "single blocks against a whole mask, by number of planes")                           \
    X(cuts, "flat calls on parts against one call")                                                \
    X(parallel, "calls cut into tasks against calls on one thread")                                \
    X(tasks, "which bytes each task writes: none twice, and no tile twice if that is possible")    \
    X(shards, "rows and columns of a matrix against the whole")                                    \
    X(activations, "GELU and SiLU: errors, specials, flags, and the same on each ISA")             \
    X(softmax, "softmax and its backward pass: values, shapes, places, and the same on each ISA")  \
    X(attention, "attention and its backward pass: values, masks, strides, tasks and parts")       \
    X(attention_statuses, "the status table of attention, and what counts as an overlap")          \
    X(attention_tasks, "each of its tasks has work, and scratch memory is small")                  \
    X(attention_gradients, "attention's backward pass against differences of its forward pass")    \
    X(gaussian, "noise: its distribution, the same on each ISA, and flags")                        \
    X(gradients, "backward calls against differences of forward calls")                            \
    X(unrelated, "neighbouring seeds, streams and offsets")                                        \
    X(nested, "an element that one p drops, every greater p drops too")                            \
    X(fp_control, "calls do not change rounding, FTZ, DAZ and traps")                              \
    X(statuses, "each row of the status table, in order; calls that fail write nothing")           \
    X(overlaps, "what counts as an overlap")                                                       \
    X(masks, "bytes, counting, unpacking and packing of masks")                                    \
    X(mask_rows, "rows of mask bits for blocks of scores: narrow, far apart, and causal")          \
    X(dropblock, "masks of DropBlock")                                                             \
    X(library, "names, versions, sizes, and activations that do not exist")

#define DECLARE_CHECK(name, what) void check_##name(struct check *c);
CHECKS(DECLARE_CHECK)
#undef DECLARE_CHECK

/* Counts a failure. Prints the first ones: ISA, seed and message. */
void check_fail(struct check *c, const char *format, ...)
    __attribute__((format(CHECK_PRINTF, 2, 3)));

/* The ISA with this name, or AUTO if there is none. */
bitdrop_isa check_isa_named(const char *name);

bool check_isa_built(bitdrop_isa isa);

/* Hashes of results of an ISA's kernels (check_hash.c); 0 if a call fails. */
uint64_t check_hash_of_masks(bitdrop_isa isa);
uint64_t check_hash_of_values(bitdrop_isa isa); /* of the operations that are exact */
uint64_t check_hash_of_math(bitdrop_isa isa);   /* of the others */

/* SplitMix64 (Steele, Lea, Flood, OOPSLA'14). */
uint64_t check_random(struct check *c);

static inline size_t check_below(struct check *c, size_t n)
{
    return (size_t)(check_random(c) % n);
}

/* A random number in [-1, 1). */
static inline double check_unit(struct check *c)
{
    return (double)(int64_t)check_random(c) * 0x1p-63;
}

/* Tasks have at least this many elements, in attention scores, on average. */
enum { TASK_ELEMENTS = 32768 };

/* A callback for bitdrop_parallel: runs the tasks one after the other, the last one first. */
void check_run_backwards(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                         void *argument);

/* An element of check_probabilities, which has difficult values of p, or a random p. */
double check_random_p(struct check *c);
extern const double check_probabilities[];
extern const size_t check_probability_count;

/* A config with random p, seed, stream, offset, rounds and scaling, for c->isa. */
bitdrop_config check_random_config(struct check *c);

/*
 * Random data of a dtype: a quarter of it specials (NaNs, infinities, zeros, denormals), a quarter
 * near 1, so that sums are rounded, and the rest any bits.
 */
void check_fill(struct check *c, bitdrop_dtype t, void *x, size_t n);

/* The first of n elements that differs, or n. All NaNs count as the same. */
size_t check_difference(bitdrop_dtype t, const void *a, const void *b, size_t n);

/* The checks of vec.h, Philox and mask rows, which are compiled for each table with its flags. */
typedef void check_isa_function(struct check *c);
#define CHECK_TABLE(table, have, isa, extensions)                                                  \
    check_isa_function check_vocabulary_##table, check_philox_##table, check_mask_rows_##table;
BITDROP_TABLES(CHECK_TABLE)

#endif
