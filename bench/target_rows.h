/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the table of targets: targets.c prints them, and other targets_*.c have some. */
#ifndef BITDROP_BENCH_TARGET_ROWS_H
#define BITDROP_BENCH_TARGET_ROWS_H

#include <stdbool.h>

#include "case.h"

enum { L2 = 1 << 16 /* elements: x and y lie in L2 */ };

/* In which fused operations are measured. */
enum { FUSED_DTYPES = 2 };
extern const bitdrop_dtype fused_dtypes[FUSED_DTYPES];

/* ratio = scale * time of a call of c / time of a call of against, which must be <= most. */
struct target {
    struct bench_case c;       /* with ISA AUTO by the ISA of this run */
    struct bench_case against; /* n = 0: the limit of as many f32, in memory of as many bytes */
    double scale;              /* 0: 1 */
    double most;
    double most_bf16; /* where the CPU has AVX512_BF16; 0: the same */
};

#define F32 .dtype = BITDROP_F32
#define F16 .dtype = BITDROP_F16
#define BF16 .dtype = BITDROP_BF16

void print_row(const char *what, double figure, double reference, double ratio, const char *sign,
               double bound, bool holds);

/* The row of a case that took `time` a call, and `ratio` times its reference. */
void print_at_most(const struct bench_case *c, double time, double ratio, double most);

void ratio_row(const struct target *t, bitdrop_isa isa, double seconds);

/* Softmax, activations and noise. */
void math_rows(bitdrop_isa isa, double seconds);

void attention_rows(bitdrop_isa isa, double seconds);

#endif
