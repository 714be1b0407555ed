/* SPDX-License-Identifier: Apache-2.0 */
#include "list.h"

#include "loops.h"
#include "machine.h"
#include "memory.h"
#include "pool.h"

enum { SMALLEST_BYTES = 256, MAX_SIZES = 64, CUT = 2048 };

static const double probabilities[] = {0.1, 0.25, 0.5, 0.9};
static const unsigned rounds[] = {10, 7};
static const bitdrop_isa isas[] = {BITDROP_ISA_AVX512, BITDROP_ISA_AVX2, BITDROP_ISA_NEON,
                                   BITDROP_ISA_SCALAR, BITDROP_ISA_AUTO /* plain loops */};

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct axes {
    size_t bytes[MAX_SIZES], sizes; /* of x: powers of 2, and 8 times the last-level cache */
    unsigned threads[POOL_MAX], thread_counts;
};

static struct axes axes_of_machine(void)
{
    struct axes a = {.sizes = 0};
    const unsigned cpus = machine_cpus() < POOL_MAX ? machine_cpus() : POOL_MAX;

    for (size_t bytes = SMALLEST_BYTES; bytes < memory_largest(); bytes *= 2)
        a.bytes[a.sizes++] = bytes;
    a.bytes[a.sizes++] = memory_largest();
    for (unsigned t = 1; t < cpus; t *= 2)
        a.threads[a.thread_counts++] = t;
    a.threads[a.thread_counts++] = cpus;
    return a;
}

static bool is_loop(const struct bench_case *c) { return c->op == BY_HAND || c->op == LIMIT; }

static bool generates(const struct bench_case *c)
{
    return c->op == MASK || c->op == FORWARD || c->op == RECOMPUTE;
}

/* Can run here, and is no other case under another name. */
static bool is_case(const struct bench_case *c)
{
    if (is_loop(c) != (c->isa == BITDROP_ISA_AUTO) || !bitdrop_isa_supported(c->isa))
        return false;
    if ((is_loop(c) || c->op == MASK) &&
        (c->dtype != BITDROP_F32 || c->in_place || c->stores != BITDROP_STORES_AUTO))
        return false;
    if (is_loop(c) && c->two_d)
        return false;
    if (c->op == LIMIT &&
        (c->p != probabilities[0] || !bitdrop_isa_supported(limit_loops[c->loop].isa)))
        return false;
    if (c->op == BY_HAND && c->threads > 1) /* rand() takes a lock */
        return false;
    return (generates(c) || c->rounds == rounds[0]) &&
           (c->threads == 1 || c->n >= CUT * c->threads);
}

/* The next digit of a number in mixed radix. */
static size_t take(size_t *code, size_t radix)
{
    const size_t digit = *code % radix;

    *code /= radix;
    return digit;
}

/* Case number `code`, the first axis changing fastest. False behind the last one. */
static bool decode(const struct axes *a, size_t code, struct bench_case *c)
{
    size_t bytes = 0, op = 0;

    *c = (struct bench_case){.op = MASK};
    c->threads = a->threads[take(&code, a->thread_counts)];
    c->in_place = take(&code, 2);
    c->two_d = take(&code, 2);
    c->stores = (unsigned)take(&code, 3);
    c->rounds = rounds[take(&code, COUNT(rounds))];
    bytes = a->bytes[take(&code, a->sizes)];
    c->p = probabilities[take(&code, COUNT(probabilities))];
    c->dtype = (bitdrop_dtype)take(&code, BITDROP_BF16 + 1);
    op = take(&code, BY_HAND + by_hand_loop_count + limit_loop_count);
    c->isa = isas[take(&code, COUNT(isas))];
    if (op < BY_HAND) {
        c->op = (enum operation)op;
    } else {
        c->op = op - BY_HAND < by_hand_loop_count ? BY_HAND : LIMIT;
        c->loop = (unsigned)(op - BY_HAND - (c->op == LIMIT ? by_hand_loop_count : 0));
    }
    c->n = bytes / dtype_bytes(c->dtype);
    return code == 0;
}

void list_cases(void (*visit)(const struct bench_case *c, void *argument), void *argument)
{
    const struct axes a = axes_of_machine();
    struct bench_case c;

    for (size_t code = 0; decode(&a, code, &c); code++)
        if (is_case(&c))
            visit(&c, argument);
}

/* Nothing unusual but operation, ISA, dtype and p. */
static bool is_plain(const struct bench_case *c)
{
    return c->n == LIST_USUAL_N && c->rounds == rounds[0] && c->stores == BITDROP_STORES_AUTO &&
           c->threads == 1 && !c->two_d && !c->in_place;
}

bool list_in_full(const struct bench_case *c)
{
    const bool usual = (c->op == FORWARD || c->op == BY_HAND) && c->p == probabilities[0];
    const int unusual = (c->n != LIST_USUAL_N) + (c->rounds != rounds[0]) + (c->threads != 1) +
                        (c->stores != BITDROP_STORES_AUTO) + c->two_d + c->in_place;

    if (is_plain(c))
        return c->op == FORWARD || c->p == probabilities[0];
    return usual && unusual == 1;
}

bool list_in_quick(const struct bench_case *c)
{
    const bool training = c->op == FORWARD || c->op == BACKWARD;

    if (!is_plain(c))
        return false;
    if (c->op == FORWARD && c->dtype == BITDROP_F32)
        return c->p <= 0.5;
    return c->p == probabilities[0] && (c->dtype == BITDROP_F32 || training);
}
