/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/stream.md said again, one element at a time, slowly and plainly. It shares nothing with src/
 * but the public header's types.
 */
#ifndef BITDROP_TESTS_ORACLE_H
#define BITDROP_TESTS_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitdrop/bitdrop.h"

void oracle_philox(const uint32_t counter[4], const uint32_t key[2], int rounds, uint32_t out[4]);

/* Whether element e is kept. Reads p, seed, stream and rounds. */
bool oracle_keep(const bitdrop_config *cfg, uint64_t e);

/* The number that Gaussian noise has at e, but with log, sine and cosine in double. */
double oracle_noise(const bitdrop_config *cfg, uint64_t e);

/* The conversions of the half types. */
float oracle_widen(bitdrop_dtype t, uint16_t h);
uint16_t oracle_narrow(bitdrop_dtype t, float x);

/* An element as a double, and a double rounded to an element; at any address. */
double oracle_number(bitdrop_dtype t, const void *x);
void oracle_put(bitdrop_dtype t, double number, void *x);

/* a + b, rounded to f32 unless t is f64: the type that t is computed in. */
double oracle_sum(bitdrop_dtype t, double a, double b);

/* An element as a number without sign of its width, and what it is; at any address. */
uint64_t oracle_bits(bitdrop_dtype t, const void *x);
bool oracle_is_nan(bitdrop_dtype t, const void *x);
bool oracle_is_quiet_nan(bitdrop_dtype t, const void *x);

/* Whether two elements are the same once all NaNs are made one. */
bool oracle_same(bitdrop_dtype t, const void *a, const void *b);

/* FNV-1a, 64 bits. */
uint64_t oracle_hash(const void *p, size_t n);

#endif
