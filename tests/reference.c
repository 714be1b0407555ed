/* SPDX-License-Identifier: Apache-2.0 */
#include "reference.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "call.h"
#include "oracle.h"

/*
 * All numbers are doubles, also those that the library computes in f32. One operation on two f32 is
 * exact here, or is rounded to 53 bits and then to 24. That gives the same as a single rounding,
 * for which 50 bits would suffice (Figueroa, "When is double rounding innocuous?", 1995).
 */

enum { F32_LEAST = -126 }; /* exponent of the smallest normal f32 */

static bool is_small(const struct element *e, double x)
{
    return e->dtype != BITDROP_F64 && fabs(x) < ldexp(1, F32_LEAST);
}

static double operand(const struct element *e, double x)
{
    return e->flush && is_small(e, x) ? copysign(0, x) : x;
}

/* isnan and isinf are macros on MinGW, which warn about doubles. */
static bool is_nan(double x) { return x != x; }

static bool is_infinite(double x) { return fabs(x) > DBL_MAX; }

/* Rounds the exact result of an operation on a and b. NEON of ARMv7 flushes it before rounding. */
static double result(struct element *e, double exact, double a, double b)
{
    if (is_nan(exact) && is_nan(a) == is_nan(b))
        e->any_nan = true;
    if (e->flush && is_small(e, exact))
        return copysign(0, exact);
    return e->dtype == BITDROP_F64 ? exact : (float)exact;
}

static double add(struct element *e, double a, double b)
{
    return result(e, operand(e, a) + operand(e, b), a, b);
}

static double multiply(struct element *e, double a, double b)
{
    return result(e, operand(e, a) * operand(e, b), a, b);
}

static bool at_most_zero(const struct element *e, double x) { return operand(e, x) <= 0; }

/* Rounds a constant, which was computed in double, to the compute type. */
static double constant(const struct element *e, double x)
{
    return e->dtype == BITDROP_F64 ? x : (float)x;
}

static double input(const struct element *e, int i) { return oracle_number(e->dtype, e->in[i]); }

static void output(struct element *e, double x) { oracle_put(e->dtype, x, e->y); }

/* x + in[i], or x if in[i] is NULL. */
static double with(struct element *e, double x, int i)
{
    return e->in[i] == NULL ? x : add(e, x, input(e, i));
}

static double scale_of(const struct element *e)
{
    return constant(e, e->cfg->scaling == BITDROP_SCALE_INFER ? 1.0 : 1.0 / (1.0 - e->cfg->p));
}

/* D of docs/reference.md, and its derivative. */
static double dropout(struct element *e, bool keep, double x)
{
    return keep ? multiply(e, x, scale_of(e)) : 0.0;
}

static void reference_mask(struct element *e) { (void)e; }

static void reference_forward(struct element *e) { output(e, dropout(e, e->keep, input(e, 0))); }

static void reference_backward(struct element *e) { reference_forward(e); }

static void reference_recompute(struct element *e) { reference_forward(e); }

static void reference_infer(struct element *e)
{
    if (e->cfg->scaling == BITDROP_SCALE_TRAIN) {
        memcpy(e->y, e->in[0], dtype_bytes(e->dtype));
        e->copied = true;
    } else if (e->cfg->p == 1) {
        output(e, 0.0);
    } else {
        output(e, multiply(e, input(e, 0), constant(e, 1.0 - e->cfg->p)));
    }
}

/* in: x, bias, residual */
static void reference_forward_add(struct element *e)
{
    const double sum = e->keep ? with(e, input(e, 0), 1) : 0.0;

    output(e, with(e, dropout(e, e->keep, sum), 2));
}

/* in: dy, none, residual */
static void reference_backward_add(struct element *e)
{
    output(e, with(e, dropout(e, e->keep, input(e, 0)), 2));
}

/* in: x, bias */
static void reference_forward_relu(struct element *e)
{
    const double sum = with(e, input(e, 0), 1);

    e->bit = e->keep && !at_most_zero(e, sum);
    output(e, dropout(e, e->bit, sum));
}

/* in: dy, x, bias. A stored mask has the bits of the forward call. */
static void reference_backward_relu(struct element *e)
{
    bool bit = e->keep;

    if (!e->stored)
        bit = e->keep && !at_most_zero(e, with(e, input(e, 1), 2));
    e->any_nan = false; /* the sum set it, but the sum is only compared */
    output(e, dropout(e, bit, input(e, 0)));
}

/*
 * The other activations have tolerances. Their formulas are computed in double, which is accurate
 * enough for f64 too: docs/reference.md allows an error of 1e-14 there.
 */
struct activated {
    double value, slope;
};

static double normal(double x) { return erfc(-x * sqrt(0.5)) / 2; }

static struct activated gelu(double x)
{
    const double pi = 3.14159265358979323846;

    return (struct activated){x * normal(x), normal(x) + x * exp(-x * x / 2) / sqrt(2 * pi)};
}

static struct activated gelu_tanh(double x)
{
    const double a = 0.7978845608028654, b = 0.044715;
    const double t = tanh(a * (x + b * x * x * x));

    return (struct activated){x / 2 * (1 + t),
                              (1 + t) / 2 + x / 2 * (1 - t * t) * a * (1 + 3 * b * x * x)};
}

static struct activated silu(double x)
{
    const double s = 1 / (1 + exp(-x));

    return (struct activated){x * s, s + x * s * (1 - s)};
}

typedef struct activated activation(double x);

/* Uses the formulas except for NaNs, and for large x, where they would compute inf * 0. */
static struct activated activate(activation *of, double x)
{
    if (is_nan(x))
        return (struct activated){x, x};
    if (fabs(x) > 100)
        return x > 0 ? (struct activated){x, 1} : (struct activated){0, 0};
    return of(x);
}

/* The error of an activation of x, or of its derivative, that docs/reference.md allows. */
static double error_at(const struct element *e, double x)
{
    const double at_1 = e->dtype == BITDROP_F64 ? 1e-14 : 3e-7;

    return is_infinite(x) ? 0 : at_1 * fmax(1, fabs(x));
}

/* Moves x in the direction of `sign` by the error of two roundings. x may be a denormal. */
static double further(const struct element *e, double x, double sign)
{
    const double epsilon = e->dtype == BITDROP_F64 ? DBL_EPSILON : FLT_EPSILON;
    const double denormal = e->dtype == BITDROP_F64 ? 0x1p-1073 : e->flush ? FLT_MIN : 0x1p-148;

    return is_infinite(x) ? x : x + sign * (epsilon * fabs(x) + denormal);
}

/* y may be any number between a and b. It may be a NaN if these are NaNs or opposite infinities. */
static void output_between(struct element *e, double a, double b)
{
    output(e, further(e, fmin(a, b), -1));
    memcpy(e->low, e->y, sizeof e->low);
    output(e, further(e, fmax(a, b), 1));
    memcpy(e->high, e->y, sizeof e->high);
    output(e, a / 2 + b / 2);
    e->between = true;
}

/* in: x, bias */
static void forward_activation(struct element *e, activation *of)
{
    const double x = operand(e, with(e, input(e, 0), 1));
    const double value = activate(of, x).value, error = error_at(e, x);

    if (!e->keep)
        output(e, 0.0);
    else
        output_between(e, (value - error) * scale_of(e), (value + error) * scale_of(e));
}

/* in: dy, x, bias */
static void backward_activation(struct element *e, activation *of)
{
    const double x = operand(e, with(e, input(e, 1), 2));
    const double slope = activate(of, x).slope, error = error_at(e, x);
    const double g = dropout(e, e->keep, input(e, 0));

    if (!e->keep)
        output(e, 0.0);
    else
        output_between(e, g * (slope - error), g * (slope + error));
}

static void reference_forward_gelu(struct element *e) { forward_activation(e, gelu); }

static void reference_backward_gelu(struct element *e) { backward_activation(e, gelu); }

static void reference_forward_gelu_tanh(struct element *e) { forward_activation(e, gelu_tanh); }

static void reference_backward_gelu_tanh(struct element *e) { backward_activation(e, gelu_tanh); }

static void reference_forward_silu(struct element *e) { forward_activation(e, silu); }

static void reference_backward_silu(struct element *e) { backward_activation(e, silu); }

struct alpha {
    double a, b, d;
};

static struct alpha alpha_of(double p)
{
    const double alpha = 1.7580993408473766, q = 1 - p;
    struct alpha c;

    c.a = 1 / sqrt(q * (1 + p * alpha * alpha));
    c.b = c.a * p * alpha;
    c.d = -alpha * sqrt(q / (1 + p * alpha * alpha));
    return c;
}

static void reference_forward_alpha(struct element *e)
{
    const struct alpha c = alpha_of(e->cfg->p);

    if (e->keep)
        output(e, add(e, multiply(e, input(e, 0), constant(e, c.a)), constant(e, c.b)));
    else
        output(e, e->cfg->p == 1 ? 0.0 : constant(e, c.d));
}

static void reference_backward_alpha(struct element *e)
{
    const struct alpha c = alpha_of(e->cfg->p);

    output(e, e->keep ? multiply(e, input(e, 0), constant(e, c.a)) : 0.0);
}

/*
 * softmax.c computes softmax, because an element depends on its whole row. These functions only
 * make reference_by_math true for it.
 */
static void reference_forward_softmax(struct element *e) { output_between(e, 0, 0); }

static void reference_backward_softmax(struct element *e) { output_between(e, 0, 0); }

/* x times the factor that the noise makes. Each step is one IEEE operation. */
static double gaussian(struct element *e, double noise)
{
    const double p = e->cfg->p, s = constant(e, sqrt(p / (1 - p)));

    return multiply(e, input(e, 0), add(e, 1, multiply(e, s, noise)));
}

static void reference_gaussian(struct element *e)
{
    /* The noise may have the error that docs/reference.md allows. */
    const double noise = oracle_noise(e->cfg, e->index), error = 5e-7 * fabs(noise);
    const double a = gaussian(e, noise - error), b = gaussian(e, noise + error);

    output(e, fmin(a, b));
    memcpy(e->low, e->y, sizeof e->low);
    output(e, fmax(a, b));
    memcpy(e->high, e->y, sizeof e->high);
    output(e, a / 2 + b / 2);
    e->between = true;
}

/*
 * For each operation, its function above, and the hash of its values that check_hash.c must find.
 * If the values have tolerances, it is the hash with SLEEF 3.5.1.
 */
#define HASH_mask UINT64_C(0x136C8DBFF724BA62)
#define HASH_forward UINT64_C(0xADC561A61E92CF6A)
#define HASH_backward UINT64_C(0x23BF8F8ED72181E2)
#define HASH_recompute UINT64_C(0x409080BE1CE8F7FA)
#define HASH_infer UINT64_C(0x60271460D87D25F8)
#define HASH_forward_add UINT64_C(0xEA881F241752DC35)
#define HASH_backward_add UINT64_C(0x8F30DDFE7CEB8C0D)
#define HASH_forward_relu UINT64_C(0xF44866F7BFE61F79)
#define HASH_backward_relu UINT64_C(0x70D2567101694781)
#define HASH_forward_gelu UINT64_C(0x9543FE3EBFE5BBA4)
#define HASH_backward_gelu UINT64_C(0x0C1B78C38582D89F)
#define HASH_forward_gelu_tanh UINT64_C(0xCBAB1851E9BCAC4C)
#define HASH_backward_gelu_tanh UINT64_C(0x92C5FA1F110A6FF5)
#define HASH_forward_silu UINT64_C(0x1C5C89F129724307)
#define HASH_backward_silu UINT64_C(0x71EF3B49D95B8FE7)
#define HASH_forward_alpha UINT64_C(0x6D3B23BAF3B07DF5)
#define HASH_backward_alpha UINT64_C(0x2C148BF2B6FB73E7)
#define HASH_forward_softmax UINT64_C(0xBA82FC5EF908994B)
#define HASH_backward_softmax UINT64_C(0xFBBAC3B7E729E754)
#define HASH_gaussian UINT64_C(0x711F836D123EE0C5)

static const struct {
    void (*function)(struct element *e);
    uint64_t hash;
} references[BITDROP_OPERATION_COUNT] = {
#define REFERENCE(name, ...) {reference_##name, HASH_##name},
    BITDROP_OPERATIONS(REFERENCE)};

void reference(struct element *e)
{
    e->any_nan = e->copied = e->between = false;
    e->bit = e->keep; /* unless the operation stores marks */
    references[e->op].function(e);
}

uint64_t reference_hash(enum bitdrop_operation op) { return references[op].hash; }

bool reference_by_math(enum bitdrop_operation op)
{
    static const bitdrop_config cfg;
    static const float one = 1;
    struct element e = {.op = op, .cfg = &cfg, .in = {&one, &one, &one}, .keep = true};

    reference(&e);
    return e.between;
}

/*
 * Whether the hardware keeps the sign and payload of a NaN, and changes only the quiet bit.
 */
#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__) || defined(__s390x__)
enum { KEEPS_NANS = true };
#else
enum { KEEPS_NANS = false };
#endif

static bool is_between(const struct element *e, const void *y)
{
    const double got = oracle_number(e->dtype, y);

    if (is_nan(got))
        return oracle_is_nan(e->dtype, e->y) && oracle_is_quiet_nan(e->dtype, y);
    return got >= oracle_number(e->dtype, e->low) && got <= oracle_number(e->dtype, e->high);
}

static bool same(const struct element *e, const void *y, const bool *bit)
{
    const bool any = (e->any_nan || !KEEPS_NANS || e->flush) && !e->copied;

    if (bit != NULL && *bit != e->bit)
        return false;
    if (e->between)
        return is_between(e, y);
    if (memcmp(e->y, y, dtype_bytes(e->dtype)) == 0)
        return true;
    return any && oracle_is_nan(e->dtype, e->y) && oracle_is_quiet_nan(e->dtype, y);
}

bool reference_accepts(bitdrop_isa isa, const struct element *e, const void *y, const bool *bit)
{
    if (same(e, y, bit))
        return true;
#ifdef __arm__
    if (isa == BITDROP_ISA_NEON && e->dtype != BITDROP_F64) {
        struct element flushed = *e;

        flushed.flush = true;
        reference(&flushed);
        return same(&flushed, y, bit);
    }
#else
    (void)isa;
#endif
    return false;
}
