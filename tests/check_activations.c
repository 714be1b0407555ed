/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the operations that use vector math: GELU and SiLU. */
#include <fenv.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "call.h"
#include "check.h"
#include "oracle.h"
#include "reference.h"

enum { N = 1 << 14, INPUTS = BITDROP_MAX_INPUTS };

static unsigned char in[INPUTS][N * 8], y[N * 8], scalar_y[N * 8];

/* Which input is the argument of the activation. in[0] of a backward call is dy. */
static int argument_of(enum bitdrop_operation op)
{
    return operation_row(op)->bits == BITS_WRITTEN ? 0 : 1;
}

/* Everything is kept and multiplied by 1; there is no bias. */
static void run(struct check *c, enum bitdrop_operation op, bitdrop_dtype t, bitdrop_isa isa,
                size_t n, unsigned char *out)
{
    const bitdrop_config cfg = {.isa = (uint8_t)isa, .mask_use = BITDROP_MASK_REMADE};
    const bitdrop_2d shape = {.rows = 1, .cols = n};
    struct call call = {.op = op, .cfg = &cfg, .dtype = t, .shape = &shape, .y = out};

    for (int i = 0; i <= argument_of(op); i++)
        call.in[i] = in[i];
    if (call_run(&call) != BITDROP_OK)
        check_fail(c, "%s is refused", operation_name(op));
}

/* Compares y with the reference, and with y of the scalar ISA. */
static void expect_values(struct check *c, enum bitdrop_operation op, bitdrop_dtype t)
{
    const bitdrop_config cfg = {.mask_use = BITDROP_MASK_REMADE};
    const size_t bytes = dtype_bytes(t);

    run(c, op, t, c->isa, N, y);
    for (size_t i = 0; i < N; i++) {
        struct element e = {.op = op, .cfg = &cfg, .dtype = t, .keep = true};

        for (int k = 0; k <= argument_of(op); k++)
            e.in[k] = in[k] + i * bytes;
        reference(&e);
        if (!reference_accepts(c->isa, &e, y + i * bytes, NULL))
            check_fail(c, "%s %s of %a is %.17g, not %.17g to %.17g", operation_name(op),
                       dtype_name(t), oracle_number(t, in[argument_of(op)] + i * bytes),
                       oracle_number(t, y + i * bytes), oracle_number(t, e.low),
                       oracle_number(t, e.high));
    }
    c->cases++;
#ifdef __arm__ /* NEON of ARMv7 treats denormals as 0 */
    return;
#endif
    run(c, op, t, BITDROP_ISA_SCALAR, N, scalar_y);
    const size_t i = check_difference(t, y, scalar_y, N);

    if (i < N)
        check_fail(c, "%s %s of %a is %" PRIx64 ", in scalar %" PRIx64, operation_name(op),
                   dtype_name(t), oracle_number(t, in[argument_of(op)] + i * bytes),
                   oracle_bits(t, y + i * bytes), oracle_bits(t, scalar_y + i * bytes));
}

/* A sample of the f32 of all signs and exponents. Each seed has another sample. */
static void expect_all_f32(struct check *c, enum bitdrop_operation op)
{
    const uint32_t chunks = (1 << 20) / N, step = UINT32_C(1) << 12;
    const uint32_t stride = c->thin < chunks / 8 ? 8 * c->thin : chunks;

    for (uint32_t chunk = (uint32_t)check_below(c, stride); chunk < chunks; chunk += stride) {
        for (uint32_t i = 0; i < N; i++) {
            const uint32_t u = (chunk + i * chunks) * step + (uint32_t)check_below(c, step);

            memcpy(in[argument_of(op)] + 4 * i, &u, sizeof u);
            if (argument_of(op) > 0)
                oracle_put(BITDROP_F32, 1, in[0] + 4 * i);
        }
        expect_values(c, op, BITDROP_F32);
    }
}

/* Half of the elements lie near 0, where the function bends. The others are any elements. */
static void expect_near_0(struct check *c, enum bitdrop_operation op, bitdrop_dtype t)
{
    const size_t bytes = dtype_bytes(t);

    check_fill(c, t, in[0], N);
    check_fill(c, t, in[1], N);
    for (size_t i = 0; i < N; i += 2)
        oracle_put(t, (double)(int64_t)check_random(c) * 0x1p-63 * (i % 4 ? 6 : 40),
                   in[argument_of(op)] + i * bytes);
    expect_values(c, op, t);
}

/* Exact values: x, the activation of x, its derivative at x. */
static const double specials[][3] = {
    {0.0, 0.0, 0.5}, {-0.0, -0.0, 0.5}, {INFINITY, INFINITY, 1.0}, {-INFINITY, 0.0, 0.0},
    {60, 60, 1},     {-800, 0.0, 0.0},  {60000, 60000, 1},         {-60000, 0.0, 0.0},
    {NAN, NAN, NAN}, {-NAN, NAN, NAN}};

static void expect_specials(struct check *c, enum bitdrop_operation op, bitdrop_dtype t)
{
    enum { COUNT = sizeof specials / sizeof *specials };
    const size_t bytes = dtype_bytes(t);
    unsigned char wanted[COUNT * 8];

    for (size_t i = 0; i < COUNT; i++) {
        oracle_put(t, 1, in[0] + i * bytes);
        oracle_put(t, specials[i][0], in[argument_of(op)] + i * bytes);
        oracle_put(t, specials[i][1 + argument_of(op)], wanted + i * bytes);
    }
    run(c, op, t, c->isa, COUNT, y);
    for (size_t i = 0; i < COUNT; i++) {
        const double got = oracle_number(t, y + i * bytes),
                     exact = oracle_number(t, wanted + i * bytes);
        const bool is_nan = exact != exact; /* MinGW's isnan warns about doubles */

        if (is_nan ? got == got : !(got == exact))
            check_fail(c, "%s %s of %g is %g, not %g", operation_name(op), dtype_name(t),
                       specials[i][0], got, exact);
        if (argument_of(op) == 0 && specials[i][0] == 0 && copysign(1, got) != copysign(1, exact))
            check_fail(c, "%s %s: a zero has the wrong sign", operation_name(op), dtype_name(t));
    }
    c->cases++;
}

/* No x except a NaN may raise invalid or division by zero, if dy is finite. */
static void expect_flags(struct check *c, enum bitdrop_operation op, bitdrop_dtype t)
{
    /* Not on Windows: MinGW's functions do not see MXCSR. */
#if defined(FE_INVALID) && defined(FE_DIVBYZERO) && !defined(_WIN32)
    const size_t bytes = dtype_bytes(t);
    fenv_t before;

    for (size_t i = 0; i < N; i++) {
        unsigned char *x = in[argument_of(op)] + i * bytes;

        check_fill(c, t, x, 1);
        while (oracle_is_nan(t, x))
            check_fill(c, t, x, 1);
        if (i % 4 == 0)
            oracle_put(t, (double)(int64_t)check_random(c) * 0x1p-56, x);
        if (argument_of(op) > 0)
            oracle_put(t, 1, in[0] + i * bytes);
    }
    feholdexcept(&before);
    run(c, op, t, c->isa, N, y);
    const int raised = fetestexcept(FE_INVALID | FE_DIVBYZERO);

    fesetenv(&before);
    if (raised != 0)
        check_fail(c, "%s %s raises%s%s", operation_name(op), dtype_name(t),
                   raised & FE_INVALID ? " invalid" : "",
                   raised & FE_DIVBYZERO ? " division by zero" : "");
    c->cases++;
#else
    (void)c;
    (void)op;
    (void)t;
#endif
}

void check_activations(struct check *c)
{
    for (int i = 0; i < BITDROP_OPERATION_COUNT; i++) {
        const enum bitdrop_operation op = (enum bitdrop_operation)i;

        if (!reference_by_math(op) || operation_of_rows(op) ||
            operation_row(op)->bits == BITS_NOISE)
            continue;
        expect_all_f32(c, op);
        for (int t = 0; t < 4; t++) {
            expect_near_0(c, op, (bitdrop_dtype)t);
            expect_specials(c, op, (bitdrop_dtype)t);
            expect_flags(c, op, (bitdrop_dtype)t);
        }
    }
}
