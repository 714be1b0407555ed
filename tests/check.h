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

#ifdef __MINGW_PRINTF_FORMAT /* MinGW has two, and takes "printf" for the one without %zu */
#define CHECK_PRINTF __MINGW_PRINTF_FORMAT
#else
#define CHECK_PRINTF printf
#endif

struct check {
    bitdrop_isa isa; /* one that is built in */
    uint64_t random; /* state of check_random; its start is printed with a failure */
    uint64_t seed;   /* that start */
    unsigned thin;   /* take 1 in so many samples: 1 natively, more under emulation */
    size_t cases;    /* compared so far */
    size_t failures;
};

/* X(name, what it shows) */
#define CHECKS(X)                                                                                  \
    X(philox, "Random123's published answers, and Philox against the oracle")                      \
    X(vocabulary, "each operation of vec.h, specials included")                                    \
    X(golden_masks, "masks.txt, masks-hex.txt and masks-deep.txt")                                 \
    X(mask_hash, "the one number that every machine prints, against the oracle")                   \
    X(value_hash, "the same for the values of each operation, against the reference")              \
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
    X(blocks, "blocks by themselves against the whole, by number of planes")                       \
    X(cuts, "flat calls on parts against the whole")                                               \
    X(parallel, "calls shared out among tasks against the same alone")                             \
    X(tasks,                                                                                       \
      "which bytes each task writes: none twice, and no tile twice where that can be helped")      \
    X(shards, "rows and columns of a matrix against the whole")                                    \
    X(activations, "GELU and SiLU: errors, specials, flags, and the same on each ISA")             \
    X(softmax, "softmax and its backward pass: values, shapes, places, and the same on each ISA")  \
    X(attention, "attention and its backward pass: values, masks, strides, tasks and parts")       \
    X(attention_statuses, "the same of its status table, and what counts as an overlap")           \
    X(attention_gradients, "its backward pass against differences of its forward pass")            \
    X(gaussian, "noise: its distribution, the same on each ISA, and flags")                        \
    X(gradients, "backward calls against differences of forward calls")                            \
    X(unrelated, "neighbouring seeds, streams and offsets")                                        \
    X(nested, "what p1 drops, every greater p drops too")                                          \
    X(fp_control, "rounding, FTZ, DAZ and traps are left as they are")                             \
    X(statuses, "each row of the status table, in its order, and nothing written")                 \
    X(overlaps, "what counts as an overlap")                                                       \
    X(masks, "bytes, counting, unpacking and packing of masks")                                    \
    X(mask_rows, "rows of mask bits for blocks of scores: narrow, far apart, and causal")          \
    X(dropblock, "masks of DropBlock")                                                             \
    X(library, "names, versions, sizes, and activations that there are not")

#define DECLARE_CHECK(name, what) void check_##name(struct check *c);
CHECKS(DECLARE_CHECK)
#undef DECLARE_CHECK

/* Counts a failure, and prints the first few: ISA, seed, and the message. */
void check_fail(struct check *c, const char *format, ...)
    __attribute__((format(CHECK_PRINTF, 2, 3)));

/* The ISA of that name, or AUTO. */
bitdrop_isa check_isa_named(const char *name);

bool check_isa_built(bitdrop_isa isa);

/* The numbers of check_hash.c, by the kernels of an ISA; 0 if they refuse. */
uint64_t check_hash_of_masks(bitdrop_isa isa);
uint64_t check_hash_of_values(bitdrop_isa isa); /* of the operations that are exact */
uint64_t check_hash_of_math(bitdrop_isa isa);   /* of the others */

/* SplitMix64 (Steele, Lea, Flood, OOPSLA'14). */
uint64_t check_random(struct check *c);

static inline size_t check_below(struct check *c, size_t n)
{
    return (size_t)(check_random(c) % n);
}

/* In [-1, 1). */
static inline double check_unit(struct check *c)
{
    return (double)(int64_t)check_random(c) * 0x1p-63;
}

/* The run of a bitdrop_parallel: the last task first, one after the other. */
void check_run_backwards(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                         void *argument);

/* p from the list of hard ones, or a random one. */
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

/* The first of n elements that differs once all NaNs are made one; n if none does. */
size_t check_difference(bitdrop_dtype t, const void *a, const void *b, size_t n);

/* The vocabulary, Philox and mask rows of each table that is built, compiled with its flags. */
typedef void check_isa_function(struct check *c);
#define CHECK_TABLE(table, have, isa, extensions)                                                  \
    check_isa_function check_vocabulary_##table, check_philox_##table, check_mask_rows_##table;
BITDROP_TABLES(CHECK_TABLE)

#endif
