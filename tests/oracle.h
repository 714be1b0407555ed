/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second implementation of docs/stream.md: simple, slow, one element at a time. It shares only
 * the types of the public header with src/.
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

/* The Gaussian noise of element e, with log, sine and cosine in double. */
double oracle_noise(const bitdrop_config *cfg, uint64_t e);

/* Convert an element of a half type to f32, and f32 to one. */
float oracle_widen(bitdrop_dtype t, uint16_t h);
uint16_t oracle_narrow(bitdrop_dtype t, float x);

/* An element as a double, and a double rounded to an element; at any address. */
double oracle_number(bitdrop_dtype t, const void *x);
void oracle_put(bitdrop_dtype t, double number, void *x);

/* a + b, rounded to the type that t is computed in: f64 for f64, else f32. */
double oracle_sum(bitdrop_dtype t, double a, double b);

/* The bits of an element, and whether it is a NaN; at any address. */
uint64_t oracle_bits(bitdrop_dtype t, const void *x);
bool oracle_is_nan(bitdrop_dtype t, const void *x);
bool oracle_is_quiet_nan(bitdrop_dtype t, const void *x);

/* Whether two elements have the same bits. All NaNs count as the same. */
bool oracle_same(bitdrop_dtype t, const void *a, const void *b);

/* FNV-1a, 64 bits. */
uint64_t oracle_hash(const void *p, size_t n);

#endif
