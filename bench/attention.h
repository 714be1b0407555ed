/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases of attention: a forward and a backward call on dense tensors, with remade masks. They are
 * compared with products by cblas in f32, and calls of softmax and dropout between them.
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

/* Visits each case that this machine can run, those of the best ISA first. */
typedef void attention_visitor(const struct attention_case *c, void *argument);
void attention_cases(attention_visitor *visit, void *argument);

/* Whether --quick and the default run have this case, as list_in_quick and list_in_full. */
bool attention_in_quick(const struct attention_case *c);
bool attention_in_full(const struct attention_case *c);

/* Pairs of a query and a key that it sees, in all heads. */
double attention_scores(const struct attention_case *c);

/* Bytes of a tensor: q, k, v, out, or a gradient of one. */
size_t attention_tensor_bytes(const struct attention_case *c);

/* Allocates and fills the tensors. Prepare all cases that are measured in turns first. */
void attention_prepare(const struct attention_case *c);

/* Runs a const struct attention_case `calls` times. A body of measure.h. */
void attention_repeat(void *argument, size_t calls);

struct attention_timing {
    double call, by_cblas; /* by_cblas is 0 if this program has no cblas */
};

/* Seconds of a forward and a backward call, by bitdrop and by cblas. Both are measured in turns,
 * for `seconds` each. */
struct attention_timing attention_time(struct attention_case *c, double seconds);

/* Prints a row. The first call prints the header too. */
void attention_row(const struct attention_case *c, struct attention_timing t);

/* Shared by attention.c and attention_cblas.c. */

/* Tensors have room for f32. They hold numbers that are normal both as f32 and as bf16. */
struct attention_memory {
    void *q, *k, *v, *out, *dout, *dq, *dk, *dv;
    void *lse, *scratch;
};

const struct attention_memory *attention_memory(void);

/* If *capacity < bytes, replaces *p by a new array of `bytes`, aligned to 64, without copying. */
void attention_reserve(void **p, size_t *capacity, size_t bytes);

/* Name of the cblas, and of the CPUs that its products are for; NULL if this program has none. */
const char *attention_cblas_name(void);

/* The same as attention_prepare and attention_repeat, by cblas. Without one they do nothing. */
void attention_cblas_prepare(const struct attention_case *c);
void attention_cblas_repeat(void *argument, size_t calls);

#endif
