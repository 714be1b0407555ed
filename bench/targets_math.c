/* SPDX-License-Identifier: Apache-2.0 */
/* The targets of operations that need vector math, in L2. */
#include <stdio.h>
#include <string.h>

#include "loops.h"
#include "measure.h"
#include "memory.h"
#include "softmax_loops.h"
#include "target_rows.h"

/* Vector math on as many f32 as the calls that are compared with it have elements. */
static struct bench_case math_case(enum math math, bitdrop_isa isa)
{
    return (struct bench_case){.kind = MATH, F32, .n = L2, .loop = math_loop_of(math, isa)};
}

/* A loop that calls of softmax are compared with. */
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

/* The time of c, compared with the sum of the times of a body and of another case. */
static void softmax_row(struct bench_case c, struct body body, struct bench_case other, double most,
                        double seconds)
{
    double time[3];

    c.n = other.n = L2;
    c.p = other.p = 0.1;
    other.isa = c.isa;
    case_prepare(&other);
    case_prepare(&c);
    measure((struct body[]){{case_repeat, &c, 1}, body, {case_repeat, &other, 1}}, 3, seconds,
            time);
    print_at_most(&c, time[0], time[0] / (time[1] + time[2]), most);
}

/*
 * Forward calls are compared with exp and plain dropout, and with separate passes and plain
 * dropout. Backward calls are compared with a pass over as many bytes, and a mask.
 */
static void softmax_rows(bitdrop_isa isa, double seconds)
{
    const struct softmax_loops *loops = softmax_loops_of(isa);
    const struct memory *m = memory_buffers();
    const struct softmax_loop_arguments rows = {L2 / 1024, 1024, m->x, m->third, m->y};
    struct bench_case exp = math_case(MATH_EXP, isa);

    if (loops == NULL)
        return;
    for (size_t t = 0; t < FUSED_DTYPES; t++) {
        const bitdrop_dtype dtype = fused_dtypes[t];
        const struct bench_case plain = {OP_forward, .dtype = dtype}, mask = {.op = OP_mask};
        struct bench_case c = {OP_forward_softmax, .isa = isa, .dtype = dtype, .form = FORM_BARE};
        struct softmax_reference passes = {loops->softmax, rows};
        struct softmax_reference grad = {dtype == BITDROP_F32 ? loops->grad_f32 : loops->grad_bf16,
                                         rows};

        softmax_row(c, (struct body){case_repeat, &exp, 1}, plain, 1.5, seconds);
        if (dtype == BITDROP_F32)
            softmax_row(c, (struct body){run_softmax_reference, &passes, 1}, plain, 1, seconds);
        c.form = FORM_BARE_512;
        softmax_row(c, (struct body){case_repeat, &exp, 1}, plain, 1.5, seconds);
        c.op = OP_backward_softmax;
        c.form = FORM_REMADE;
        softmax_row(c, (struct body){run_softmax_reference, &grad, 1}, mask, 1.5, seconds);
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
    print_row(what, 1e9 * time / (double)L2, 1e9 * reference / (double)L2, time / reference,
              "<=", most, time / reference <= most);
}

/*
 * GELU_TANH and SiLU, forward and backward, are compared with plain dropout and an exp for each
 * call. GELU is compared with GELU_TANH.
 */
static void activation_rows_of(bitdrop_isa isa, bitdrop_dtype t, double seconds)
{
    struct pair plain = pair_of(OP_forward, OP_backward, FORM_FLAT, t, isa);
    struct pair gelu = pair_of(OP_forward_gelu, OP_backward_gelu, FORM_NO_BIAS, t, isa);
    struct pair tanh = pair_of(OP_forward_gelu_tanh, OP_backward_gelu_tanh, FORM_NO_BIAS, t, isa);
    struct pair silu = pair_of(OP_forward_silu, OP_backward_silu, FORM_NO_BIAS, t, isa);
    struct bench_case exp = math_case(MATH_EXP, isa);
    double time[9];

    measure((struct body[]){{case_repeat, &plain.forward, 1},
                            {case_repeat, &plain.backward, 1},
                            {case_repeat, &gelu.forward, 1},
                            {case_repeat, &gelu.backward, 1},
                            {case_repeat, &tanh.forward, 1},
                            {case_repeat, &tanh.backward, 1},
                            {case_repeat, &silu.forward, 1},
                            {case_repeat, &silu.backward, 1},
                            {case_repeat, &exp, 1}},
            9, seconds, time);
    const double reference = time[0] + time[1] + 2 * time[8];

    print_pair(&tanh, time[4] + time[5], reference, 1.4);
    print_pair(&silu, time[6] + time[7], reference, 1.4);
    print_pair(&gelu, time[2] + time[3], time[4] + time[5], 2);
}

/* Only if exp is SLEEF's. */
static void activation_rows(bitdrop_isa isa, double seconds)
{
    if (softmax_loops_of(isa) == NULL || strcmp(bitdrop_math(), "libm") == 0)
        return;
    for (size_t t = 0; t < FUSED_DTYPES; t++)
        activation_rows_of(isa, fused_dtypes[t], seconds);
}

/* Noise, compared with the vector math in it: one log and one sincospi for two elements. */
static void noise_row(bitdrop_isa isa, double seconds)
{
    const struct target row = {.c = {OP_gaussian, F32, .p = 0.1, .n = L2, .form = FORM_ROWS},
                               .against = math_case(MATH_NOISE, isa),
                               .most = 3};

    if (row.against.loop < math_loop_count)
        ratio_row(&row, isa, seconds);
}

void math_rows(bitdrop_isa isa, double seconds)
{
    softmax_rows(isa, seconds);
    if (isa == BITDROP_ISA_AVX512)
        softmax_rows(BITDROP_ISA_AVX2, seconds);
    activation_rows(isa, seconds);
    if (isa == BITDROP_ISA_AVX512)
        activation_rows(BITDROP_ISA_AVX2, seconds);
    noise_row(isa, seconds);
}
