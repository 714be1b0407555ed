/* SPDX-License-Identifier: Apache-2.0 */
#include "list.h"

#include "isas.h"
#include "loops.h"
#include "machine.h"
#include "memory.h"
#include "pool.h"

enum { SMALLEST_BYTES = 256, MAX_SIZES = 64, LEAST_PER_THREAD = 2048 /* elements */ };

static const double probabilities[] = {0.1, 0.25, 0.5, 0.9};
static const unsigned rounds[] = {10, 7};
/* The best first. A table with extensions belongs to an ISA that has a table without, too. */
static const struct {
    bitdrop_isa isa;
    bitdrop_isa_set extensions;
} tables[] = {
#define TABLE(table, have, isa, extensions) {BITDROP_ISA_##isa, extensions},
    BITDROP_TABLES(TABLE)};

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct axes {
    size_t bytes[MAX_SIZES], sizes; /* of x: powers of 2, and 8 times the last-level cache */
    unsigned threads[POOL_MAX], thread_counts;
    bitdrop_isa isas[BITDROP_ISA_COUNT];
    size_t isa_count;
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
    for (size_t i = 0; i < COUNT(tables); i++)
        if (tables[i].extensions == 0 && bitdrop_isa_supported(tables[i].isa))
            a.isas[a.isa_count++] = tables[i].isa;
    return a;
}

/* Loops are flat calls of f32. Only n, the threads of limits and p of loops by hand vary. */
static bool is_loop_case(const struct bench_case *c)
{
    if (c->dtype != BITDROP_F32 || c->form != FORM_FLAT || c->place != 0 ||
        c->stores != BITDROP_STORES_AUTO || c->rounds != rounds[0])
        return false;
    if (c->kind == LIMIT)
        return c->p == probabilities[0] && bitdrop_isa_supported(limit_loops[c->loop].isa);
    if (c->kind == MATH &&
        !(c->p == probabilities[0] && bitdrop_isa_supported(math_loops[c->loop].isa)))
        return false;
    return c->threads == 1; /* rand() would wait for its lock */
}

static bool is_operation_case(const struct bench_case *c)
{
    if (!operation_has_data(c->op) && (c->dtype != BITDROP_F32 || c->stores != BITDROP_STORES_AUTO))
        return false;
    if (c->form > FORM_ROWS && /* samples */
        (c->threads > 1 || c->stores != BITDROP_STORES_AUTO || c->rounds != rounds[0]))
        return false;
    return case_has_form(c) && (case_makes_bits(c) || c->rounds == rounds[0]);
}

/* Whether the case can run here, and no other case measures the same. */
static bool is_case(const struct bench_case *c)
{
    return (c->kind == OPERATION ? is_operation_case(c) : is_loop_case(c)) &&
           (c->threads == 1 || c->n >= LEAST_PER_THREAD * c->threads);
}

/* Removes the lowest digit of a number in mixed radix, and returns it. */
static size_t next_digit(size_t *code, size_t radix)
{
    const size_t digit = *code % radix;

    *code /= radix;
    return digit;
}

/* Operations of each ISA, then loops. Returns false if `code` is past the last one. */
static bool decode_kind(const struct axes *a, size_t code, struct bench_case *c)
{
    static const struct {
        enum case_kind kind;
        const unsigned *count;
    } loops[] = {
        {BY_HAND, &by_hand_loop_count}, {LIMIT, &limit_loop_count}, {MATH, &math_loop_count}};
    const size_t operations = a->isa_count * BITDROP_OPERATION_COUNT;

    if (code < operations) {
        c->op = (enum bitdrop_operation)next_digit(&code, BITDROP_OPERATION_COUNT);
        c->isa = a->isas[code];
        return true;
    }
    code -= operations;
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        if (code < *loops[i].count) {
            c->kind = loops[i].kind;
            c->loop = (unsigned)code;
            return true;
        }
        code -= *loops[i].count;
    }
    return false;
}

/* Case number `code`. The axis that is decoded first changes fastest. */
static bool decode(const struct axes *a, size_t code, struct bench_case *c)
{
    size_t bytes = 0;

    *c = (struct bench_case){.kind = OPERATION};
    c->threads = a->threads[next_digit(&code, a->thread_counts)];
    c->place = (int)next_digit(&code, CASE_PLACES);
    c->form = (enum case_form)next_digit(&code, FORM_COUNT);
    c->stores = (unsigned)next_digit(&code, 3);
    c->rounds = rounds[next_digit(&code, COUNT(rounds))];
    bytes = a->bytes[next_digit(&code, a->sizes)];
    c->p = probabilities[next_digit(&code, COUNT(probabilities))];
    c->dtype = (bitdrop_dtype)next_digit(&code, BITDROP_DTYPE_COUNT);
    c->n = bytes / dtype_bytes(c->dtype);
    if (!decode_kind(a, code, c))
        return false;
    c->n = case_whole_rows(c);
    return true;
}

void list_cases(void (*visit)(const struct bench_case *c, void *argument), void *argument)
{
    const struct axes a = axes_of_machine();
    struct bench_case c;

    for (size_t code = 0; decode(&a, code, &c); code++)
        if (is_case(&c))
            visit(&c, argument);
}

/* On how many axes, other than operation, ISA, dtype and p, the case has an unusual value. */
static int count_unusual(const struct bench_case *c)
{
    return (c->n != LIST_USUAL_N) + (c->rounds != rounds[0]) + (c->threads != 1) +
           (c->stores != BITDROP_STORES_AUTO) + (c->form != case_usual_form(c)) + (c->place != 0);
}

/* Axes that mean the same for all operations are sampled on these, ... */
static bool is_typical(const struct bench_case *c)
{
    return c->kind == OPERATION ? c->op == OP_forward : c->kind == BY_HAND;
}

/* ... and forms and places that only some operations have, in f32 on the best ISA. */
static bool is_sample(const struct bench_case *c)
{
    return c->kind == OPERATION && c->dtype == BITDROP_F32 && c->isa == bitdrop_isa_default() &&
           (c->form > FORM_ROWS || (c->place > 0 && case_usual_form(c) == FORM_ROWS));
}

bool list_in_full(const struct bench_case *c)
{
    const bool usual_p = c->p == probabilities[0];

    if (count_unusual(c) == 0 && case_usual_form(c) == FORM_ROWS)
        return usual_p && (c->dtype == BITDROP_F32 || c->dtype == BITDROP_BF16);
    if (count_unusual(c) == 0)
        return usual_p || (c->kind == OPERATION && c->op == OP_forward);
    return count_unusual(c) == 1 && usual_p &&
           (is_sample(c) || (is_typical(c) && c->form <= FORM_ROWS));
}

bool list_in_quick(const struct bench_case *c)
{
    const bool operation = c->kind == OPERATION;
    const bool training = operation && (c->op == OP_forward || c->op == OP_backward);

    if (operation && (c->form == FORM_PIECES || c->form == FORM_NARROW))
        return count_unusual(c) == 1 && c->p == probabilities[0];
    if (count_unusual(c) > 0 || (c->kind == LIMIT && limit_loops[c->loop].ahead > 0))
        return false;
    if (operation && c->op == OP_forward && c->dtype == BITDROP_F32)
        return c->p <= 0.5;
    return c->p == probabilities[0] && (c->dtype == BITDROP_F32 || training);
}
