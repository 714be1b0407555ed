/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the table of targets, in targets.c and targets_*.c. */
#ifndef BITDROP_BENCH_TARGET_ROWS_H
#define BITDROP_BENCH_TARGET_ROWS_H

#include <stdbool.h>

#include "case.h"

enum { L2 = 1 << 16 /* elements: x and y lie in L2 */ };

/* The dtypes of targets for fused operations. */
enum { FUSED_DTYPES = 2 };
extern const bitdrop_dtype fused_dtypes[FUSED_DTYPES];

/* ratio = scale * time of a call of c / time of a call of `against`. It must be <= most. */
struct target {
    struct bench_case c;       /* ISA AUTO: the ISA of this run */
    struct bench_case against; /* n = 0: the limit, of c.n f32; in memory, of as many bytes */
    double scale;              /* 0: 1 */
    double most;
    double most_bf16; /* `most` if the CPU has AVX512_BF16; 0: the same */
};

#define F32 .dtype = BITDROP_F32
#define F16 .dtype = BITDROP_F16
#define BF16 .dtype = BITDROP_BF16

void print_row(const char *what, double figure, double reference, double ratio, const char *sign,
               double bound, bool holds);

/* Prints the row of a case. A call took `time` seconds, and `ratio` times its reference. */
void print_at_most(const struct bench_case *c, double time, double ratio, double most);

/* These measure and print rows. */
void ratio_row(const struct target *t, bitdrop_isa isa, double seconds);

/* Softmax, activations and noise. */
void math_rows(bitdrop_isa isa, double seconds);

void attention_rows(bitdrop_isa isa, double seconds);

#endif
