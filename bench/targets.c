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
#include "softmax_loops.h"

enum { L2 = 1 << 16, IN_MEMORY = 0 /* as many elements as the largest tensor has */ };

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
    {.c = {OP_mask, F32, .p = 0.1, .n = L2}, /* against one without late planes */
     .against = {OP_mask, F32, .p = 27.0 / 256, .n = L2},
     .most = 1.25},
    {.c = {OP_mask, F32, .p = 0.1, .n = L2, .rounds = 7},
     .against = {OP_mask, F32, .p = 27.0 / 256, .n = L2, .rounds = 7},
     .most = 1.35},
    {.c = {OP_forward, F32, .p = 0.1, .n = 512 * 100, .form = FORM_RAGGED}, /* an element */
     .against = {OP_forward, F32, .p = 0.1, .n = 512 * 128, .form = FORM_SHORT},
     .scale = 1.28,
     .most = 1.5},
    {.c = {OP_forward, F32, .p = 0.1, .n = 100},
     .against = {OP_forward, F32, .p = 0.1, .n = 128},
     .most = 1.15},
    {.c = {OP_forward, F32, .p = 0.1, .n = 2048}, /* an element, against one of a long run */
     .against = {OP_forward, F32, .p = 0.1, .n = L2},
     .scale = (double)L2 / 2048,
     .most = 1.3},
    {.c = {OP_forward, F32, .p = 0.1, .n = 128}, /* 100 ns where the limit takes 0.07 an element */
     .against = {.kind = LIMIT, F32, .n = L2},
     .scale = (double)L2 * 0.07 / 100,
     .most = 1},
};

/* In L2, of each of the dtypes below. Fused operations are held against plain dropout. */
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

static const bitdrop_dtype fused_dtypes[] = {BITDROP_F32, BITDROP_BF16};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static unsigned held, missed;

static void print_row(const char *what, double figure, double reference, double ratio,
                      const char *sign, double bound, bool holds)
{
    printf("%-67s %9.3f %9.3f %8.3f  %s %-5.3g  %s\n", what, figure, reference, ratio, sign, bound,
           holds ? "holds" : "MISSED");
    fflush(stdout);
    *(holds ? &held : &missed) += 1;
}

static void print_at_most(const struct bench_case *c, double time, double ratio, double most)
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

static void ratio_row(const struct target *t, bitdrop_isa isa, double seconds)
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
    for (size_t t = 0; t < COUNT(fused_dtypes); t++)
        for (size_t i = 0; i < COUNT(fused_targets); i++) {
            struct target row = fused_targets[i];

            row.c.dtype = row.against.dtype = fused_dtypes[t];
            row.c.p = row.against.p = 0.1;
            row.c.n = row.against.n = L2;
            ratio_row(&row, isa, seconds);
        }
}

/* Noise against the vector math in it, which has one log and one sincospi for two elements. */
static void noise_row(bitdrop_isa isa, double seconds)
{
    struct target row = {.c = {OP_gaussian, F32, .p = 0.1, .n = L2, .form = FORM_ROWS},
                         .against = {.kind = MATH, F32, .n = L2},
                         .most = 3};

    while (row.against.loop < math_loop_count && math_loops[row.against.loop].isa != isa)
        row.against.loop++;
    if (row.against.loop < math_loop_count)
        ratio_row(&row, isa, seconds);
}

/* How much longer odd addresses or offsets take, against how much longer the limit takes on them.
 */
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
 * An operation without a flat call in memory, against plain dropout times the bytes that it moves,
 * or against itself in L2 if that is slower: then it does not wait for memory.
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

/* What the softmax calls are held against. */
struct softmax_reference {
    void (*loop)(const struct softmax_loop_arguments *a);
    struct softmax_loop_arguments arguments;
};

static void run_softmax_reference(void *argument, size_t calls)
{
    const struct softmax_reference *r = argument;

    for (size_t i = 0; i < calls; i++)
        r->loop(&r->arguments);
}

/* A call of c, against the sum of a loop and of a call beside it. */
static void softmax_row(struct bench_case c, void (*loop)(const struct softmax_loop_arguments *a),
                        struct bench_case beside, double most, double seconds)
{
    const struct memory *m = memory_buffers();
    const size_t cols = c.form == FORM_BARE_512 ? 512 : 1024;
    struct softmax_reference reference = {loop, {L2 / cols, cols, m->x, m->third, m->y}};
    double time[3];

    c.n = beside.n = L2;
    c.p = beside.p = 0.1;
    beside.isa = c.isa;
    case_prepare(&beside);
    case_prepare(&c);
    measure((struct body[]){{case_repeat, &c, 1},
                            {run_softmax_reference, &reference, 1},
                            {case_repeat, &beside, 1}},
            3, seconds, time);
    print_at_most(&c, time[0], time[0] / (time[1] + time[2]), most);
}

/* Against exp and plain dropout, separate passes, and a pass of as many bytes and a mask. */
static void softmax_rows(bitdrop_isa isa, double seconds)
{
    const struct softmax_loops *loops = softmax_loops_of(isa);

    if (loops == NULL)
        return;
    for (size_t t = 0; t < COUNT(fused_dtypes); t++) {
        const bitdrop_dtype dtype = fused_dtypes[t];
        const struct bench_case plain = {OP_forward, .dtype = dtype}, mask = {.op = OP_mask};
        struct bench_case c = {OP_forward_softmax, .isa = isa, .dtype = dtype, .form = FORM_BARE};

        softmax_row(c, loops->exp, plain, 1.5, seconds);
        if (dtype == BITDROP_F32)
            softmax_row(c, loops->softmax, plain, 1, seconds);
        c.form = FORM_BARE_512;
        softmax_row(c, loops->exp, plain, 1.5, seconds);
        c.op = OP_backward_softmax;
        c.form = FORM_REMADE;
        softmax_row(c, dtype == BITDROP_F32 ? loops->grad_f32 : loops->grad_bf16, mask, 1.5,
                    seconds);
    }
}

/* A forward and a backward call of an activation without bias, or of plain dropout. */
struct pair {
    struct bench_case forward, backward;
};

static struct pair pair_of(enum bitdrop_operation forward, enum bitdrop_operation backward,
                           enum case_form form, bitdrop_dtype t, bitdrop_isa isa)
{
    struct pair pair = {
        .forward = {.op = forward, .isa = isa, .dtype = t, .p = 0.1, .n = L2, .form = form}};

    pair.backward = pair.forward;
    pair.backward.op = backward;
    case_prepare(&pair.forward);
    case_prepare(&pair.backward);
    return pair;
}

static void print_pair(const struct pair *pair, double time, double reference, double most)
{
    char what[128];

    snprintf(what, sizeof what, "%-6s %-14s %-4s p=%-4g n=%zu, and backward",
             bitdrop_isa_name(pair->forward.isa), case_operation_name(&pair->forward),
             case_dtype_name(&pair->forward), pair->forward.p, pair->forward.n);
    print_row(what, 1e9 * time / L2, 1e9 * reference / L2, time / reference, "<=", most,
              time / reference <= most);
}

/* Against an exp for each call and both calls of plain dropout, and GELU against GELU_TANH. */
static void activation_rows_of(const struct softmax_loops *loops, bitdrop_dtype t, double seconds)
{
    const bitdrop_isa isa = loops->isa;
    struct pair plain = pair_of(OP_forward, OP_backward, FORM_FLAT, t, isa);
    struct pair gelu = pair_of(OP_forward_gelu, OP_backward_gelu, FORM_NO_BIAS, t, isa);
    struct pair tanh = pair_of(OP_forward_gelu_tanh, OP_backward_gelu_tanh, FORM_NO_BIAS, t, isa);
    struct pair silu = pair_of(OP_forward_silu, OP_backward_silu, FORM_NO_BIAS, t, isa);
    static float x[L2], y[L2];
    struct softmax_reference exp = {loops->exp, {1, L2, x, NULL, y}};
    double time[9];

    measure((struct body[]){{case_repeat, &plain.forward, 1},
                            {case_repeat, &plain.backward, 1},
                            {case_repeat, &gelu.forward, 1},
                            {case_repeat, &gelu.backward, 1},
                            {case_repeat, &tanh.forward, 1},
                            {case_repeat, &tanh.backward, 1},
                            {case_repeat, &silu.forward, 1},
                            {case_repeat, &silu.backward, 1},
                            {run_softmax_reference, &exp, 1}},
            9, seconds, time);
    const double reference = time[0] + time[1] + 2 * time[8];

    print_pair(&tanh, time[4] + time[5], reference, 1.4);
    print_pair(&silu, time[6] + time[7], reference, 1.4);
    print_pair(&gelu, time[2] + time[3], time[4] + time[5], 2);
}

/* Where exp is SLEEF's. */
static void activation_rows(bitdrop_isa isa, double seconds)
{
    const struct softmax_loops *loops = softmax_loops_of(isa);

    if (loops == NULL || strcmp(bitdrop_math(), "libm") == 0)
        return;
    for (size_t t = 0; t < COUNT(fused_dtypes); t++)
        activation_rows_of(loops, fused_dtypes[t], seconds);
}

/* Whatever operations there are. */
static void memory_rows(bitdrop_isa isa, double seconds)
{
    for (size_t t = 0; t < COUNT(fused_dtypes); t++)
        for (int op = 0; op < BITDROP_OPERATION_COUNT; op++) {
            const struct bench_case c = {
                .op = (enum bitdrop_operation)op, .isa = isa, .dtype = fused_dtypes[t], .p = 0.1};

            if (case_usual_form(&c) == FORM_ROWS)
                memory_row(c, seconds);
        }
}

/*
 * Work that needs nothing of the memory, and all that a core can do of it at once: two threads do
 * it twice as fast, unless they share a core. One multiplication after another would not show that.
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

/* Best throughput of two threads, each with the work of one, over that of one. */
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
        "ns are of an element, or of a call below 2048 elements. The reference, mostly the limit, is what the ratio is to.\n");
    printf("%-67s %9s %9s %8s\n", "", "ns", "reference", "ratio");
    for (size_t i = 0; i < COUNT(targets); i++)
        ratio_row(&targets[i], isa, seconds);
    fused_rows(isa, seconds);
    softmax_rows(isa, seconds);
    if (isa == BITDROP_ISA_AVX512)
        softmax_rows(BITDROP_ISA_AVX2, seconds);
    activation_rows(isa, seconds);
    if (isa == BITDROP_ISA_AVX512)
        activation_rows(BITDROP_ISA_AVX2, seconds);
    noise_row(isa, seconds);
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
