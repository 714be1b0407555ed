/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of vocabulary.c, included after vocabulary_bodies.h. Checks the functions that activations
 * and softmax use: sub, div, abs, max, clamp, above, only, quotient, sum, greatest, exp, log, erfc;
 * and those that noise uses: sqrt, from_int32, from_int31, sincospi.
 */
#ifndef BITDROP_TESTS_VOCABULARY_MATH_H
#define BITDROP_TESTS_VOCABULARY_MATH_H

/* The functions of one compute type, on memory as in struct functions. */
struct math_functions {
    bitdrop_dtype dtype;
    int lanes;
    void (*sub)(const void *a, const void *b, void *y);
    void (*div)(const void *a, const void *b, void *y);
    void (*abs)(const void *a, void *y);
    void (*clamp)(const void *a, const void *low, const void *high, void *y);
    uint32_t (*above)(const uint8_t *keep, const void *a, const void *b);
    void (*only)(const uint8_t *keep, const void *a, void *y);
    void (*max)(const void *a, const void *b, void *y);
    void (*quotient)(const void *a, const void *b, const void *r, int alternate, void *y);
    double (*sum)(const void *a);
    double (*greatest)(const void *a);
    void (*exp)(const void *a, void *y);
    void (*log)(const void *a, void *y);
    void (*erfc)(const void *a, void *y); /* NULL for f32 */
};

#define UNARY(C, operation)                                                                        \
    static void C##_##operation##_memory(const void *a, void *y)                                   \
    {                                                                                              \
        C##_store(y, C##_##operation(C##_load(a)));                                                \
    }
#define BINARY(C, operation)                                                                       \
    static void C##_##operation##_memory(const void *a, const void *b, void *y)                    \
    {                                                                                              \
        C##_store(y, C##_##operation(C##_load(a), C##_load(b)));                                   \
    }
#define MATH_FUNCTIONS(C)                                                                          \
    BINARY(C, sub)                                                                                 \
    BINARY(C, div)                                                                                 \
    UNARY(C, abs)                                                                                  \
    BINARY(C, max)                                                                                 \
    UNARY(C, exp)                                                                                  \
    UNARY(C, log)                                                                                  \
    static void C##_quotient_memory(const void *a, const void *b, const void *r, int alternate,    \
                                    void *y)                                                       \
    {                                                                                              \
        C##_store(y, C##_quotient(C##_load(a), C##_load(b), C##_load(r), alternate));              \
    }                                                                                              \
    static double C##_sum_memory(const void *a) { return C##_sum(C##_load(a)); }                   \
    static double C##_greatest_memory(const void *a) { return C##_greatest(C##_load(a)); }         \
    static void C##_clamp_memory(const void *a, const void *low, const void *high, void *y)        \
    {                                                                                              \
        C##_store(y, C##_clamp(C##_load(a), C##_load(low), C##_load(high)));                       \
    }                                                                                              \
    static uint32_t C##_above_memory(const uint8_t *keep, const void *a, const void *b)            \
    {                                                                                              \
        const C##_mask m =                                                                         \
            C##_above(C##_keep(keep_bits_load(keep), 0, 0), C##_load(a), C##_load(b));             \
                                                                                                   \
        return C##_mask_bits(&m);                                                                  \
    }                                                                                              \
    static void C##_only_memory(const uint8_t *keep, const void *a, void *y)                       \
    {                                                                                              \
        C##_store(y, C##_only(C##_keep(keep_bits_load(keep), 0, 0), C##_load(a)));                 \
    }

MATH_FUNCTIONS(f32)
MATH_FUNCTIONS(f64)
UNARY(f64, erfc)
UNARY(f32, sqrt)

static double f16_sum_memory(const void *x) { return f16_sum(f16_load(x)); }
static double bf16_sum_memory(const void *x) { return bf16_sum(bf16_load(x)); }

static const struct math_functions f32_math = {
    BITDROP_F32,      f32_LANES,           f32_sub_memory,  f32_div_memory, f32_abs_memory,
    f32_clamp_memory, f32_above_memory,    f32_only_memory, f32_max_memory, f32_quotient_memory,
    f32_sum_memory,   f32_greatest_memory, f32_exp_memory,  f32_log_memory, NULL,
};
static const struct math_functions f64_math = {
    BITDROP_F64,      f64_LANES,           f64_sub_memory,  f64_div_memory, f64_abs_memory,
    f64_clamp_memory, f64_above_memory,    f64_only_memory, f64_max_memory, f64_quotient_memory,
    f64_sum_memory,   f64_greatest_memory, f64_exp_memory,  f64_log_memory, f64_erfc_memory,
};

/* Computes in the type itself, because double would round twice. */
static double native(bitdrop_dtype t, char operation, double a, double b)
{
    volatile float fa = (float)a, fb = (float)b;
    volatile double da = a, db = b;

    if (t == BITDROP_F64)
        return operation == '-' ? da - db : da / db;
    return operation == '-' ? fa - fb : fa / fb;
}

static void expect_binary(struct check *c, const struct math_functions *w, char operation,
                          unsigned char *a, unsigned char *b)
{
    const size_t size = dtype_bytes(w->dtype);
    unsigned char y[MOST_BYTES], wanted[8];

    (operation == '-' ? w->sub : w->div)(a, b, y);
    for (size_t at = 0; at < (size_t)w->lanes * size; at += size) {
        if (operation == '-') {
            flush_as_read(c, w->dtype, a + at);
            flush_as_read(c, w->dtype, b + at);
        }
        const double x = oracle_number(w->dtype, a + at), d = oracle_number(w->dtype, b + at);

        oracle_put(w->dtype, native(w->dtype, operation, x, d), wanted);
        if (!oracle_same(w->dtype, wanted, y + at) && !is_sum(c, w->dtype, wanted, y + at))
            check_fail(c, "%s: %a %c %a is %a", dtype_name(w->dtype), x, operation, d,
                       oracle_number(w->dtype, y + at));
    }
}

/* Checks abs, clamp to -limit and limit, above -limit, and only. */
static void expect_bounded(struct check *c, const struct math_functions *w, const unsigned char *a)
{
    const size_t size = dtype_bytes(w->dtype);
    const double limit = 1 + (double)check_below(c, 100);
    unsigned char low[MOST_BYTES], high[MOST_BYTES], absolute[MOST_BYTES], within[MOST_BYTES];
    unsigned char only[MOST_BYTES];
    const uint32_t bits = random_word(c);
    uint8_t keep[4];

    for (int i = 0; i < w->lanes; i++) {
        oracle_put(w->dtype, -limit, low + (size_t)i * size);
        oracle_put(w->dtype, limit, high + (size_t)i * size);
    }
    store_le32(keep, bits);
    w->abs(a, absolute);
    w->clamp(a, low, high, within);
    w->only(keep, a, only);
    const uint32_t above = w->above(keep, a, low);

    for (int i = 0; i < w->lanes; i++) {
        const size_t at = (size_t)i * size;
        const double x = oracle_number(w->dtype, a + at);
        unsigned char wanted[8];

        memcpy(wanted, a + at, size);
        /* The sign bit. Not by fabs, which may make a NaN quiet. */
        wanted[__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 0 : size - 1] &= 0x7F;
        if (!oracle_same(w->dtype, wanted, absolute + at))
            check_fail(c, "%s: the magnitude of %a is %a", dtype_name(w->dtype), x,
                       oracle_number(w->dtype, absolute + at));
        oracle_put(w->dtype, isless(x, -limit) ? -limit : isgreater(x, limit) ? limit : x, wanted);
        flush_as_read(c, w->dtype, wanted);
        if (!oracle_same(w->dtype, wanted, within + at) &&
            !is_sum(c, w->dtype, wanted, within + at))
            check_fail(c, "%s: %a within %g is %a", dtype_name(w->dtype), x, limit,
                       oracle_number(w->dtype, within + at));
        expect_bits(c, w->dtype, "above", i, above >> i & 1,
                    (bits >> i & 1) && !islessequal(x, -limit));
        expect_bits(c, w->dtype, "only", i, oracle_bits(w->dtype, only + at),
                    bits >> i & 1 ? oracle_bits(w->dtype, a + at) : 0);
    }
}

/* Checks max: the greater of two lanes, or if one is a NaN, the second or a NaN; and greatest. */
static void expect_max(struct check *c, const struct math_functions *w, const unsigned char *a,
                       const unsigned char *b)
{
    const size_t size = dtype_bytes(w->dtype);
    unsigned char y[MOST_BYTES];
    double most = -INFINITY;
    bool any_nan = false;

    w->max(a, b, y);
    for (size_t at = 0; at < (size_t)w->lanes * size; at += size) {
        const double x = oracle_number(w->dtype, a + at), z = oracle_number(w->dtype, b + at);
        const double got = oracle_number(w->dtype, y + at);
        unsigned char wanted[8];

        oracle_put(w->dtype, isgreater(x, z) ? x : z, wanted);
        flush_as_read(c, w->dtype, wanted);
        any_nan |= x != x;
        most = isgreater(x, most) ? x : most;
        if (!(got == oracle_number(w->dtype, wanted)) && !(got != got && (x != x || z != z)))
            check_fail(c, "%s: the greater of %a and %a is %a", dtype_name(w->dtype), x, z, got);
    }
    if (!any_nan && fabs(w->greatest(a) - most) > 0x1p-126)
        check_fail(c, "%s: the greatest is %a, not %a", dtype_name(w->dtype), w->greatest(a), most);
}

/* Compares quotient with div, for a from +0 to 1, with denormals, and b from 1 on. */
static void expect_quotient(struct check *c, const struct math_functions *w)
{
    const size_t size = dtype_bytes(w->dtype);
    unsigned char a[MOST_BYTES], b[MOST_BYTES], r[MOST_BYTES], y[MOST_BYTES], wanted[MOST_BYTES];
    const bool tiny = check_below(c, 8) == 0;
    const double divisor = check_below(c, 8) == 0 ? 1
                                                  : 1 + (double)check_random(c) * 0x1p-64 *
                                                            ldexp(1, (int)check_below(c, 24));

    for (int i = 0; i < w->lanes; i++) {
        const size_t at = (size_t)i * size;
        const int exponent = -(int)check_below(c, tiny ? 149 : 59);

        oracle_put(w->dtype, ldexp((double)check_random(c) * 0x1p-64, exponent), a + at);
        if (check_below(c, 16) == 0)
            oracle_put(w->dtype, check_below(c, 2) ? 0 : check_below(c, 8) ? 1 : NAN, a + at);
        oracle_put(w->dtype, divisor, b + at);
        oracle_put(w->dtype, native(w->dtype, '/', 1, oracle_number(w->dtype, b + at)), r + at);
    }
    w->quotient(a, b, r, (int)check_below(c, 4), y);
    w->div(a, b, wanted);
    for (int i = 0; i < w->lanes; i++)
        if (!oracle_same(w->dtype, wanted + (size_t)i * size, y + (size_t)i * size))
            check_fail(c, "%s: %a / %a is %a, not %a", dtype_name(w->dtype),
                       oracle_number(w->dtype, a + (size_t)i * size), oracle_number(w->dtype, b),
                       oracle_number(w->dtype, y + (size_t)i * size),
                       oracle_number(w->dtype, wanted + (size_t)i * size));
}

/* Checks the pairwise sum of one vector. */
static void expect_sum(struct check *c, bitdrop_dtype t, int lanes, double (*sum)(const void *x))
{
    const size_t size = dtype_bytes(t);
    unsigned char x[MOST_BYTES];
    double s[MOST_LANES];

    for (int i = 0; i < lanes; i++) {
        oracle_put(t, (double)(int64_t)check_random(c) * 0x1p-63, x + (size_t)i * size);
        s[i] = oracle_number(t, x + (size_t)i * size);
    }
    for (int apart = lanes / 2; apart > 0; apart /= 2)
        for (int i = 0; i < apart; i++)
            s[i] = oracle_sum(t, s[i], s[i + apart]);
    if (sum(x) != s[0])
        check_fail(c, "%s: the sum of a vector is %a, not %a", dtype_name(t), sum(x), s[0]);
}

/* Checks a function on numbers from least to most. It may be wrong by four units in the last place,
 * or by a denormal. */
static void expect_function(struct check *c, const struct math_functions *w,
                            void (*vector)(const void *a, void *y), double (*function)(double x),
                            double least, double most)
{
    const size_t size = dtype_bytes(w->dtype);
    const double epsilon = w->dtype == BITDROP_F64 ? 0x1p-50 : 0x1p-22;
    const double denormal = w->dtype == BITDROP_F64 ? 0x1p-1073 : 0x1p-126;
    unsigned char a[MOST_BYTES], y[MOST_BYTES];

    for (int i = 0; i < w->lanes; i++) {
        const double fraction = (double)(check_random(c) >> 11) * 0x1p-53;

        oracle_put(w->dtype, least + fraction * fraction * (most - least), a + (size_t)i * size);
    }
    vector(a, y);
    for (size_t at = 0; at < (size_t)w->lanes * size; at += size) {
        const double x = oracle_number(w->dtype, a + at), got = oracle_number(w->dtype, y + at);
        const double wanted = function(x);

        if (!(fabs(got - wanted) <= epsilon * fabs(wanted) + denormal))
            check_fail(c, "%s: exp, log or erfc of %a is %a, not %a", dtype_name(w->dtype), x, got,
                       wanted);
    }
}

static void expect_f32(struct check *c, const char *operation, double of, float got, float wanted)
{
    if (memcmp(&got, &wanted, sizeof got) != 0)
        check_fail(c, "f32_%s of %a is %a, not %a", operation, of, got, wanted);
}

/* Roots of f32. A root that is rounded to double and then to f32 is rounded correctly. */
static void check_sqrt(struct check *c)
{
    float a[f32_LANES], y[f32_LANES];

    for (int i = 0; i < f32_LANES; i++) {
        const uint32_t u = random_word(c) % 0x7F800001;

        memcpy(&a[i], &u, sizeof u);
    }
    f32_sqrt_memory(a, y);
    for (int i = 0; i < f32_LANES; i++)
        expect_f32(c, "sqrt", a[i], y[i], (float)sqrt(a[i]));
}

static void check_from_int(struct check *c)
{
    uint32_t words[f32_LANES];
    float y[f32_LANES];

    for (int i = 0; i < f32_LANES; i++)
        words[i] = random_word(c);
    f32_store(y, f32_from_int32(words));
    for (int i = 0; i < f32_LANES; i++)
        expect_f32(c, "from_int32", words[i], y[i], (float)(int32_t)words[i]);
    f32_store(y, f32_from_int31(words));
    for (int i = 0; i < f32_LANES; i++)
        expect_f32(c, "from_int31", words[i], y[i], (float)(words[i] >> 1));
}

/* Multiples of 1/2, numbers near them, and any numbers. A result of 0 may have any sign. */
static void check_sincospi(struct check *c)
{
    const double pi = 3.14159265358979323846;
    float a[f32_LANES], sine[f32_LANES], cosine[f32_LANES];

    for (int i = 0; i < f32_LANES; i++) {
        const double fraction = (double)(int64_t)check_random(c) * 0x1p-63;
        const double near = fraction * ldexp(1, -(int)check_below(c, 32));

        a[i] = (float)fraction;
        if (check_below(c, 2))
            a[i] = (float)(copysign((double)check_below(c, 3) / 2, near) -
                           (check_below(c, 4) ? near : 0));
        if (fabsf(a[i]) > 1)
            a[i] = 1;
    }
    const f32_sine_cosine y = f32_sincospi(f32_load(a));

    f32_store(sine, y.sine);
    f32_store(cosine, y.cosine);
    for (int i = 0; i < f32_LANES; i++) {
        const double x = fabs((double)a[i]);
        const double s = copysign(sin(pi * (x > 0.5 ? 1 - x : x)), a[i]), k = sin(pi * (0.5 - x));

        if (!(fabs(sine[i] - s) <= 0x1p-23 * fabs(s) && fabs(cosine[i] - k) <= 0x1p-23 * fabs(k)))
            check_fail(c, "f32_sincospi of %a is %a and %a, not %a and %a", a[i], sine[i],
                       cosine[i], s, k);
    }
}

/* log of a number up to 1 must not be above 0, because noise computes the root of -2 * log. */
static void check_log(struct check *c)
{
    float a[f32_LANES], y[f32_LANES];

    expect_function(c, &f32_math, f32_log_memory, log, 0x1p-32, 1);
    expect_function(c, &f32_math, f32_log_memory, log, 1, 0x1p-32);
    for (int i = 0; i < f32_LANES; i++)
        a[i] = 1 - (float)i * 0x1p-24F;
    f32_log_memory(a, y);
    for (int i = 0; i < f32_LANES; i++)
        if (!(i == 0 ? y[i] == 0 : y[i] < 0))
            check_fail(c, "f32_log of %a is %a", a[i], y[i]);
}

static void check_noise_functions(struct check *c)
{
    for (int sample = 0; sample < SAMPLES; sample++) {
        check_sqrt(c);
        check_from_int(c);
        check_log(c);
        check_sincospi(c);
        c->cases++;
    }
}

static void check_math(struct check *c, const struct math_functions *w)
{
    unsigned char a[MOST_BYTES], b[MOST_BYTES];

    for (int sample = 0; sample < SAMPLES; sample++) {
        fill_hard(c, w->dtype, a, w->lanes);
        fill_hard(c, w->dtype, b, w->lanes);
        expect_bounded(c, w, a);
        expect_binary(c, w, '-', a, b);
        expect_binary(c, w, '/', a, b);
        expect_function(c, w, w->exp, exp, 0, w->dtype == BITDROP_F64 ? -700 : -110);
        expect_function(c, w, w->exp, exp, 0, w->dtype == BITDROP_F64 ? 700 : 88);
        expect_function(c, w, w->log, log, 1, 1e6);
        expect_max(c, w, a, b);
        expect_quotient(c, w);
        expect_sum(c, w->dtype, w->lanes, w->sum);
        if (w->erfc != NULL)
            expect_function(c, w, w->erfc, erfc, 0x1p-70, 26);
        c->cases++;
    }
}

#endif
