/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sources of draws for the tests of randomness: bitdrop, and a slow generator. The slow one is
 * a second implementation of docs/stream.md, in which faults can be planted.
 */
#ifndef BITDROP_TESTS_RANDOMNESS_SOURCE_H
#define BITDROP_TESTS_RANDOMNESS_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitdrop/bitdrop.h"

/*
 * X(name, part, what it is): bitdrop, the slow generator, and each of its faults. `part` is the
 * part of the tests that must catch the fault.
 */
#define SOURCES(X)                                                                                 \
    X(BITDROP, ladder, "bitdrop")                                                                  \
    X(SLOW, ladder, "the slow generator without a fault")                                          \
    X(ROUNDS_2, streams, "2 rounds")                                                               \
    X(ROUNDS_3, streams, "3 rounds")                                                               \
    X(ROUNDS_4, streams, "4 rounds")                                                               \
    X(ROUNDS_5, streams, "5 rounds")                                                               \
    X(ROUNDS_6, streams, "6 rounds")                                                               \
    X(FOURS, units, "one bit for 4 elements")                                                      \
    X(LANES, pairs, "lane k has the key seed + k, so that neighbouring seeds share lanes")         \
    X(STREAM_IN_SEED, pairs, "the stream is xored into the high half of the seed")                 \
    X(INDEX_32, pairs, "the high half of the counter is 0")                                        \
    X(THRESHOLD_8, ladder, "a threshold of 8 bits")                                                \
    X(THRESHOLD_16, ladder, "a threshold of 16 bits")                                              \
    X(PLANE_7_IS_6, ladder, "plane 7 is plane 6")                                                  \
    X(LATE_STUCK, late, "all late planes have the counter of the first four")                      \
    X(LATE_PAIRS, late, "two late planes share an output word")                                    \
    X(LATE_SHARED, late, "4 words of 32 elements share their late planes")                         \
    X(LATE_NO_STREAM, late, "late planes ignore the stream")                                       \
    X(LATE_OVERLAP, late, "late planes have the counters of early ones")                           \
    X(ROWS_SHARED, units, "two mask rows share their decisions")                                   \
    X(NOISE_16, noise, "noise has a radius of 16 random bits")                                     \
    X(NOISE_PAIRS, noise, "the sine of the noise is its cosine again")

#define SOURCE_NAME(name, part, what) SOURCE_##name,
enum source { SOURCES(SOURCE_NAME) SOURCE_COUNT };
#undef SOURCE_NAME

extern const char *const source_what[SOURCE_COUNT];

/*
 * Bits are in words of 64 elements, 1 = kept. n must be a multiple of 64, and cfg->offset a
 * multiple of 32. All functions end the program if a call of bitdrop fails.
 */
void source_mask(enum source s, const bitdrop_config *cfg, size_t n, uint64_t *mask);

/*
 * Plane j of the uniform numbers. Does not read p. bitdrop has no call that returns a plane. But
 * bit j of U is 1 if the number of multiples of 2^-(j+1) above 0 and up to U is odd, and element e
 * is kept at p if U(e) is not below p. So the plane is the XOR of the masks of all these multiples
 * below 1: plane 8 costs 511 masks.
 */
void source_plane(enum source s, const bitdrop_config *cfg, unsigned j, size_t n, uint64_t *plane);

/* A matrix with one decision for each mask row and column, or for each mask row. */
struct units {
    size_t columns; /* of the matrix */
    size_t repeat;  /* rows that share a decision */
    uint64_t pitch;
    bool each_row;
};

/*
 * Writes n decisions, row after row, as the output of bitdrop_recompute_2d shows them. False if
 * elements that must share a decision do not.
 */
bool source_units(enum source s, const bitdrop_config *cfg, const struct units *u, size_t n,
                  uint64_t *units);

/* Gaussian noise by bitdrop_gaussian: one number for each element, or for each of n rows. */
void source_noise(enum source s, const bitdrop_config *cfg, bool each_row, size_t n, double *noise);

#endif
