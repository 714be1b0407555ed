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

size_t oracle_bytes(bitdrop_dtype t);

/* One element, at any address. */
void oracle_train(const bitdrop_config *cfg, bitdrop_dtype t, bool keep, const void *x, void *y);
void oracle_infer(const bitdrop_config *cfg, bitdrop_dtype t, const void *x, void *y);

/*
 * Whether y may be what an ISA makes of x where the oracle makes `wanted`: if they are the same, or
 * if this is ARMv7's NEON, which takes denormals of f32 for 0 and has one NaN only.
 */
bool oracle_accepts(bitdrop_isa isa, bitdrop_dtype t, const void *x, const void *wanted,
                    const void *y);

/* The conversions of the half types. */
float oracle_widen(bitdrop_dtype t, uint16_t h);
uint16_t oracle_narrow(bitdrop_dtype t, float x);

/* FNV-1a, 64 bits. */
uint64_t oracle_hash(const void *p, size_t n);

#endif
