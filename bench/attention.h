/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention as a thing to be timed: a forward and a backward call on dense tensors, with remade
 * masks. Beside it stand the products of cblas in f32, and calls of softmax and dropout.
 */
#ifndef BITDROP_BENCH_ATTENTION_H
#define BITDROP_BENCH_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitdrop/bitdrop.h"

struct attention_sizes {
    const char *name;
    size_t batch, heads, tokens;
    bool causal;
};

enum { ATTENTION_DIM = 64 };
enum { ATTENTION_T128, ATTENTION_T512, ATTENTION_T2048, ATTENTION_SIZES };
extern const struct attention_sizes attention_sizes[ATTENTION_SIZES];

struct attention_case {
    const struct attention_sizes *sizes;
    bitdrop_isa isa;
    bitdrop_dtype dtype; /* f32 or bf16 */
    double p;
};

enum { ATTENTION_NAME_BYTES = 128 };

/* attention/sizes/isa/dtype/p */
void attention_name(const struct attention_case *c, char name[ATTENTION_NAME_BYTES]);

/* Visits each case of this machine, those of the best ISA first. */
typedef void attention_visitor(const struct attention_case *c, void *argument);
void attention_cases(attention_visitor *visit, void *argument);

/* What is among the cases of list_in_quick and list_in_full. */
bool attention_in_quick(const struct attention_case *c);
bool attention_in_full(const struct attention_case *c);

/* Pairs of a query and a key that it sees, in all heads. */
double attention_scores(const struct attention_case *c);

/* Bytes of a tensor: q, k, v, out, or a gradient of one. */
size_t attention_tensor_bytes(const struct attention_case *c);

/* Of cases that are timed in turn, all are prepared first. */
void attention_prepare(const struct attention_case *c);

/* Runs it so many times. The argument is a const struct attention_case: a body of measure.h. */
void attention_repeat(void *argument, size_t calls);

struct attention_timing {
    double call, by_cblas; /* by_cblas is 0 if this program has no cblas */
};

/* Seconds of a forward and a backward call, both ways taking turns for `seconds` each. */
struct attention_timing attention_time(struct attention_case *c, double seconds);

/* Prints a row, and before the first one the header. */
void attention_row(const struct attention_case *c, struct attention_timing t);

/* What attention_cblas.c shares with attention.c. */

/* Tensors have room for f32. What they hold is normal numbers, read as f32 or as bf16. */
struct attention_memory {
    void *q, *k, *v, *out, *dout, *dq, *dk, *dv;
    void *lse, *scratch;
};

const struct attention_memory *attention_memory(void);

/* Makes *p so large, aligned to 64 bytes, unless it is; what it holds is lost then. */
void attention_reserve(void **p, size_t *room, size_t bytes);

/* What cblas is, and for which CPUs its products are; NULL if this program has none. */
const char *attention_cblas_name(void);

/* Of the same cases, if there is a cblas. */
void attention_cblas_prepare(const struct attention_case *c);
void attention_cblas_repeat(void *argument, size_t calls);

#endif
