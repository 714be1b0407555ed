/* SPDX-License-Identifier: Apache-2.0 */
#include "targets.h"

#include <stdio.h>
#include <string.h>

#include "limit.h"
#include "loops.h"
#include "machine.h"
#include "measure.h"
#include "memory.h"
#include "pool.h"
#include "target_rows.h"

enum { IN_MEMORY = 0 /* stands for the number of elements of the largest tensor */ };

static const struct target targets[] = {
    {.c = {OP_forward, F32, .p = 0.1, .n = IN_MEMORY}, .most = 1.15},
    {.c = {OP_forward, F32, .p = 0.25, .n = IN_MEMORY}, .most = 1.15},
    {.c = {OP_forward, F32, .p = 0.5, .n = IN_MEMORY}, .most = 1.15},
    {.c = {OP_forward, F32, .p = 0.9, .n = IN_MEMORY}, .most = 1.15},
    {.c = {OP_backward, F32, .p = 0.1, .n = IN_MEMORY}, .most = 1.08},
    {.c = {OP_forward, F16, .p = 0.1, .n = IN_MEMORY}, .most = 1.12},
    {.c = {OP_forward, F16, .p = 0.25, .n = IN_MEMORY}, .most = 1.12},
    {.c = {OP_forward, F16, .p = 0.5, .n = IN_MEMORY}, .most = 1.12},
    {.c = {OP_forward, F16, .p = 0.9, .n = IN_MEMORY}, .most = 1.12},
    {.c = {OP_backward, F16, .p = 0.1, .n = IN_MEMORY}, .most = 1.12},
    {.c = {OP_forward, BF16, .p = 0.1, .n = IN_MEMORY}, .most = 1.12},
    {.c = {OP_forward, BF16, .p = 0.25, .n = IN_MEMORY}, .most = 1.12},
    {.c = {OP_forward, BF16, .p = 0.5, .n = IN_MEMORY}, .most = 1.12},
    {.c = {OP_forward, BF16, .p = 0.9, .n = IN_MEMORY}, .most = 1.12},
    {.c = {OP_backward, BF16, .p = 0.1, .n = IN_MEMORY}, .most = 1.12},
    {.c = {OP_backward, F32, .p = 0.1, .n = L2}, .most = 1.08},
    {.c = {OP_infer, F32, .p = 0.1, .n = L2}, .most = 1.08},
    {.c = {OP_forward, F32, .p = 0.5, .n = L2}, .most = 1.25},
    {.c = {OP_forward, F32, .p = 0.25, .n = L2}, .most = 1.3},
    {.c = {OP_forward, F32, .p = 0.1, .n = L2}, .most = 1.5},
    {.c = {OP_recompute, F32, .p = 0.1, .n = L2}, .most = 1.5},
    {.c = {OP_forward, F32, .p = 0.1, .n = L2, .rounds = 7}, .most = 1.25},
    {.c = {OP_recompute, F32, .p = 0.1, .n = L2, .rounds = 7}, .most = 1.25},
    {.c = {OP_mask, F32, .p = 0.1, .n = L2}, .most = 1.5},
    {.c = {OP_forward, F16, .p = 0.1, .n = L2}, .most = 1.8},
    {.c = {OP_forward, BF16, .p = 0.1, .n = L2}, .most = 1.8},
    {.c = {OP_backward, F16, .p = 0.1, .n = L2}, .most = 0.85},
    {.c = {OP_backward, BF16, .p = 0.1, .n = L2}, .most = 0.85, .most_bf16 = 0.7},
    {.c = {OP_forward, .isa = BITDROP_ISA_AVX2, F32, .p = 0.1, .n = L2}, .most = 2.2},
    {.c = {OP_forward, .isa = BITDROP_ISA_SCALAR, F32, .p = 0.1, .n = L2},
     .against = {.kind = BY_HAND, .loop = BY_RAND, F32, .p = 0.1, .n = L2},
     .most = 1 / 6.0},
    {.c = {OP_forward, F32, .p = 0.1, .n = 4 << 20, .stores = BITDROP_STORES_CACHED},
     .against = {.kind = LIMIT, F32, .n = 4 << 20},
     .most = 1.2},
    {.c = {OP_mask, F32, .p = 0.1, .n = L2}, /* compared with a mask without late planes */
     .against = {OP_mask, F32, .p = 27.0 / 256, .n = L2},
     .most = 1.25},
    {.c = {OP_mask, F32, .p = 0.1, .n = L2, .rounds = 7},
     .against = {OP_mask, F32, .p = 27.0 / 256, .n = L2, .rounds = 7},
     .most = 1.35},
    {.c = {OP_mask, F32, .p = 0.1, .n = L2, .form = FORM_PIECES}, /* compared with a flat call */
     .against = {OP_mask, F32, .p = 0.1, .n = L2},
     .most = 1.3},
    {.c = {OP_mask, F32, .p = 0.1, .n = L2, .form = FORM_NARROW},
     .against = {OP_mask, F32, .p = 0.1, .n = L2},
     .most = 2},
    {.c = {OP_forward, F32, .p = 0.1, .n = 512 * 100, .form = FORM_RAGGED}, /* time per element */
     .against = {OP_forward, F32, .p = 0.1, .n = 512 * 128, .form = FORM_SHORT},
     .scale = 1.28,
     .most = 1.5},
    {.c = {OP_forward, F32, .p = 0.1, .n = 100},
     .against = {OP_forward, F32, .p = 0.1, .n = 128},
     .most = 1.15},
    {.c = {OP_forward, F32, .p = 0.1, .n = 2048}, /* time per element, compared with a long call */
     .against = {OP_forward, F32, .p = 0.1, .n = L2},
     .scale = (double)L2 / 2048,
     .most = 1.3},
    {.c = {OP_forward, F32, .p = 0.1, .n = 128}, /* 100 ns if the limit needs 0.07 per element */
     .against = {.kind = LIMIT, F32, .n = L2},
     .scale = (double)L2 * 0.07 / 100,
     .most = 1},
};

/* In L2, for each of fused_dtypes. Fused operations are compared with plain dropout. */
static const struct target fused_targets[] = {
    {.c = {OP_forward_add, .form = FORM_NO_BIAS}, .against = {.op = OP_forward}, .most = 1.1},
    {.c = {OP_forward_add, .form = FORM_ROWS}, .against = {.op = OP_forward}, .most = 1.2},
    {.c = {OP_backward_add, .form = FORM_ROWS, .place = 3},
     .against = {.op = OP_backward},
     .most = 1.25},
    {.c = {OP_forward_relu, .form = FORM_NO_BIAS}, .against = {.op = OP_forward}, .most = 1.1},
    {.c = {OP_forward_relu, .form = FORM_ROWS}, .against = {.op = OP_forward}, .most = 1.1},
    {.c = {OP_backward_relu, .form = FORM_ROWS}, .against = {.op = OP_backward}, .most = 1.05},
    {.c = {OP_forward, .form = FORM_EACH_ROW}, .against = {.kind = LIMIT}, .most = 1.1},
};

const bitdrop_dtype fused_dtypes[FUSED_DTYPES] = {BITDROP_F32, BITDROP_BF16};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static unsigned held, missed;

void print_row(const char *what, double figure, double reference, double ratio, const char *sign,
               double bound, bool holds)
{
    printf("%-67s %9.3f %9.3f %8.3f  %s %-5.3g  %s\n", what, figure, reference, ratio, sign, bound,
           holds ? "holds" : "MISSED");
    fflush(stdout);
    *(holds ? &held : &missed) += 1;
}

void print_at_most(const struct bench_case *c, double time, double ratio, double most)
{
    const double ns = 1e9 * time / (c->n < 2048 ? 1 : (double)c->n);
    char what[128];

    snprintf(what, sizeof what, "%-6s %-14s %-4s p=%-4g n=%zu%s%s%s%s", bitdrop_isa_name(c->isa),
             case_operation_name(c), case_dtype_name(c), c->p, c->n,
             c->rounds == 7 ? ", 7 rounds" : "",
             c->stores == BITDROP_STORES_CACHED ? ", cached" : "",
             c->x_skew ? ", odd pointers" : "", c->offset ? ", odd offset" : "");
    if (c->form != case_usual_form(c) || c->place > 0)
        snprintf(what + strlen(what), sizeof what - strlen(what), ", %s, %s", case_form_name(c),
                 case_place_name(c));
    print_row(what, ns, ns / ratio, ratio, "<=", most, ratio <= most);
}

static struct bench_case f32_limit(size_t n)
{
    return limit_of(&(struct bench_case){OP_forward, F32, .n = n});
}

void ratio_row(const struct target *t, bitdrop_isa isa, double seconds)
{
    struct bench_case c = t->c, against = t->against;
    double time[2], most = t->most;

    if (c.isa == BITDROP_ISA_AUTO)
        c.isa = isa;
    if (c.n == IN_MEMORY)
        c.n = memory_largest() / dtype_bytes(c.dtype);
    if (against.kind == OPERATION)
        against.isa = c.isa;
    case_prepare(against.n > c.n ? &against : &c);
    if (against.n == 0)
        against = t->c.n == IN_MEMORY ? limit_of(&c) : f32_limit(c.n);
    else if (against.kind == LIMIT)
        against = f32_limit(against.n);
    measure((struct body[]){{case_repeat, &c, 1}, {case_repeat, &against, 1}}, 2, seconds, time);
    if (t->most_bf16 > 0 && machine_has_avx512_bf16())
        most = t->most_bf16;
    print_at_most(&c, time[0], (t->scale > 0 ? t->scale : 1) * time[0] / time[1], most);
}

static void fused_rows(bitdrop_isa isa, double seconds)
{
    for (size_t t = 0; t < FUSED_DTYPES; t++)
        for (size_t i = 0; i < COUNT(fused_targets); i++) {
            struct target row = fused_targets[i];

            row.c.dtype = row.against.dtype = fused_dtypes[t];
            row.c.p = row.against.p = 0.1;
            row.c.n = row.against.n = L2;
            ratio_row(&row, isa, seconds);
        }
}

/* The slowdown by unaligned addresses or an odd offset, divided by the slowdown of the limit. */
static void odd_row(enum bitdrop_operation op, bool pointers, bool offset, bitdrop_isa isa,
                    double seconds)
{
    struct bench_case even = {op, .isa = isa, F32, .p = 0.1, .n = L2}, odd = even;
    struct bench_case even_limit, odd_limit;
    double time[4];

    odd.x_skew = pointers ? 1 : 0;
    odd.y_skew = pointers ? 3 : 0;
    odd.mask_skew = pointers ? 1 : 0;
    odd.offset = offset ? 12345 : 0;
    case_prepare(&odd);
    case_prepare(&even);
    even_limit = f32_limit(L2);
    odd_limit = even_limit;
    odd_limit.x_skew = odd.x_skew;
    odd_limit.y_skew = odd.y_skew;
    measure((struct body[]){{case_repeat, &odd, 1},
                            {case_repeat, &even, 1},
                            {case_repeat, &odd_limit, 1},
                            {case_repeat, &even_limit, 1}},
            4, seconds, time);
    print_at_most(&odd, time[0], time[0] / time[1] / (time[2] / time[3]), 1.15);
}

/*
 * An operation without a flat call, on tensors in memory. The reference is plain dropout, scaled to
 * as many bytes. If the operation takes longer than that in L2, it does not wait for memory, and
 * the reference is its time in L2.
 */
static void memory_row(struct bench_case c, double seconds)
{
    struct bench_case plain = c, in_l2 = c;
    double time[2], l2_time, reference;

    c.form = in_l2.form = FORM_ROWS;
    in_l2.n = L2;
    c.n = plain.n = memory_largest() / dtype_bytes(c.dtype);
    plain.op = case_makes_bits(&c) ? OP_forward : OP_backward;
    case_prepare(&plain);
    case_prepare(&c);
    measure(&(struct body){case_repeat, &in_l2, 1}, 1, seconds, &l2_time);
    measure((struct body[]){{case_repeat, &c, 1}, {case_repeat, &plain, 1}}, 2, seconds, time);
    reference = time[1] * (double)case_bytes(&c) / (double)case_bytes(&plain);
    l2_time *= (double)c.n / (double)in_l2.n;
    if (l2_time > reference)
        print_at_most(&c, time[0], time[0] / l2_time, 1.15);
    else
        print_at_most(&c, time[0], time[0] / reference, 1.1);
}

/* A row for each operation without a flat call. */
static void memory_rows(bitdrop_isa isa, double seconds)
{
    for (size_t t = 0; t < FUSED_DTYPES; t++)
        for (int op = 0; op < BITDROP_OPERATION_COUNT; op++) {
            const struct bench_case c = {
                .op = (enum bitdrop_operation)op, .isa = isa, .dtype = fused_dtypes[t], .p = 0.1};

            if (case_usual_form(&c) == FORM_ROWS)
                memory_row(c, seconds);
        }
}

/*
 * Arithmetic that needs no memory and keeps a core fully busy. Two threads do it twice as fast,
 * unless they share a core. A single chain of multiplications would not show that, because it
 * leaves units of the core idle.
 */
struct alu {
    unsigned threads;
    size_t calls;
};

static void alu_work(void *argument, unsigned thread)
{
    enum { CHAINS = 8 };
    const struct alu *a = argument;
    uint64_t x[CHAINS] = {thread}, sum = 0;

    for (size_t i = 0; i < 10000 * a->calls; i++)
        for (int k = 0; k < CHAINS; k++)
            x[k] = x[k] * 6364136223846793005 + 1442695040888963407;
    for (int k = 0; k < CHAINS; k++)
        sum += x[k];
    *(volatile uint64_t *)&sum = sum;
}

static void alu_run(void *argument, size_t calls)
{
    struct alu *a = argument;

    a->calls = calls;
    pool_run(a->threads, alu_work, a);
}

/* The best ratio of the throughput of two threads to that of one. Each does the work of one. */
static double best_of_pairs(struct body one, struct body two, double seconds)
{
    enum { PAIRS = 5 };
    double best = 0;

    for (int i = 0; i < PAIRS; i++) {
        double time[2];

        measure((struct body[]){one, two}, 2, seconds / (double)PAIRS, time);
        if (best < 2 * time[0] / time[1])
            best = 2 * time[0] / time[1];
    }
    return best;
}

static void threads_row(bitdrop_isa isa, double seconds)
{
    struct bench_case one = {OP_forward, .isa = isa, F32, .p = 0.1, .n = L2}, two = one;
    struct alu alu_one = {.threads = 1}, alu_two = {.threads = 2};
    double speedup = 0, control = 0;

    two.n = 2 * L2;
    two.threads = 2;
    case_prepare(&two);
    speedup = best_of_pairs((struct body){case_repeat, &one, 1},
                            (struct body){case_repeat, &two, 2}, seconds);
    control = best_of_pairs((struct body){alu_run, &alu_one, 1},
                            (struct body){alu_run, &alu_two, 2}, seconds);
    print_row("two threads, times as fast as one, best of 5 (reference: arithmetic)", speedup,
              control, speedup / control, ">=", 0.95, speedup / control >= 0.95);
}

static void call_row(bitdrop_isa isa, double seconds)
{
    struct bench_case c = {OP_forward, .isa = isa, F32, .p = 0.1, .n = 0};
    double time = 0;

    measure(&(struct body){case_repeat, &c, 1}, 1, seconds, &time);
    print_at_most(&c, time, time / 15e-9, 1);
}

unsigned targets_run(bitdrop_isa isa, double seconds)
{
    printf("%s\n\n", machine_cpu_name());
    puts(
        "ns are for an element, or for a call of less than 2048 elements. ratio = ns / reference. The "
        "reference is mostly the limit.\n");
    printf("%-67s %9s %9s %8s\n", "", "ns", "reference", "ratio");
    for (size_t i = 0; i < COUNT(targets); i++)
        ratio_row(&targets[i], isa, seconds);
    fused_rows(isa, seconds);
    math_rows(isa, seconds);
    attention_rows(isa, seconds);
    memory_rows(isa, seconds);
    threads_row(isa, seconds);
    odd_row(OP_forward, true, false, isa, seconds);
    odd_row(OP_forward, false, true, isa, seconds);
    odd_row(OP_forward, true, true, isa, seconds);
    odd_row(OP_backward, true, false, isa, seconds);
    call_row(isa, seconds);
    printf("\n%u hold, %u missed\n", held, missed);
    return missed;
}
