/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of the vocabulary that activations are made of: sub, div, abs, clamp, above, exp, erfc.
 * A part of vocabulary.c, behind vocabulary_bodies.h.
 */
#ifndef BITDROP_TESTS_VOCABULARY_MATH_H
#define BITDROP_TESTS_VOCABULARY_MATH_H

/* The words of one compute type, on memory. */
struct math_words {
    bitdrop_dtype dtype;
    int lanes;
    void (*sub)(const void *a, const void *b, void *y);
    void (*div)(const void *a, const void *b, void *y);
    void (*abs)(const void *a, void *y);
    void (*clamp)(const void *a, const void *low, const void *high, void *y);
    uint32_t (*above)(const uint8_t *keep, const void *a, const void *b);
    void (*exp)(const void *a, void *y);
    void (*erfc)(const void *a, void *y); /* NULL for f32 */
};

#define UNARY(C, word)                                                                             \
    static void C##_##word##_memory(const void *a, void *y)                                        \
    {                                                                                              \
        C##_store(y, C##_##word(C##_load(a)));                                                     \
    }
#define BINARY(C, word)                                                                            \
    static void C##_##word##_memory(const void *a, const void *b, void *y)                         \
    {                                                                                              \
        C##_store(y, C##_##word(C##_load(a), C##_load(b)));                                        \
    }
#define MATH_WORDS(C)                                                                              \
    BINARY(C, sub)                                                                                 \
    BINARY(C, div)                                                                                 \
    UNARY(C, abs)                                                                                  \
    UNARY(C, exp)                                                                                  \
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
    }

MATH_WORDS(f32)
MATH_WORDS(f64)
UNARY(f64, erfc)

static const struct math_words f32_math = {
    BITDROP_F32,      f32_LANES,        f32_sub_memory, f32_div_memory, f32_abs_memory,
    f32_clamp_memory, f32_above_memory, f32_exp_memory, NULL,
};
static const struct math_words f64_math = {
    BITDROP_F64,      f64_LANES,        f64_sub_memory, f64_div_memory,  f64_abs_memory,
    f64_clamp_memory, f64_above_memory, f64_exp_memory, f64_erfc_memory,
};

/* In the type itself: double would round twice. */
static double native(bitdrop_dtype t, char operation, double a, double b)
{
    volatile float fa = (float)a, fb = (float)b;
    volatile double da = a, db = b;

    if (t == BITDROP_F64)
        return operation == '-' ? da - db : da / db;
    return operation == '-' ? fa - fb : fa / fb;
}

static void expect_binary(struct check *c, const struct math_words *w, char operation,
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

/* abs, clamp to within +-limit, and above -limit. */
static void expect_bounded(struct check *c, const struct math_words *w, const unsigned char *a)
{
    const size_t size = dtype_bytes(w->dtype);
    const double limit = 1 + (double)check_below(c, 100);
    unsigned char low[MOST_BYTES], high[MOST_BYTES], absolute[MOST_BYTES], within[MOST_BYTES];
    const uint32_t bits = random_word(c);
    uint8_t keep[4];

    for (int i = 0; i < w->lanes; i++) {
        oracle_put(w->dtype, -limit, low + (size_t)i * size);
        oracle_put(w->dtype, limit, high + (size_t)i * size);
    }
    store_le32(keep, bits);
    w->abs(a, absolute);
    w->clamp(a, low, high, within);
    const uint32_t above = w->above(keep, a, low);

    for (int i = 0; i < w->lanes; i++) {
        const size_t at = (size_t)i * size;
        const double x = oracle_number(w->dtype, a + at);
        unsigned char wanted[8];

        memcpy(wanted, a + at, size);
        wanted[size - 1] &= 0x7F; /* not by fabs: a NaN may become quiet on its way */
#if defined(__s390x__)
        oracle_put(w->dtype, fabs(x), wanted);
#endif
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
    }
}

/* Of numbers in [least, most], to within four units in the last place, or denormals. */
static void expect_function(struct check *c, const struct math_words *w,
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

        if (!(fabs(got - wanted) <= epsilon * wanted + denormal))
            check_fail(c, "%s: exp or erfc of %a is %a, not %a", dtype_name(w->dtype), x, got,
                       wanted);
    }
}

static void check_math(struct check *c, const struct math_words *w)
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
        if (w->erfc != NULL)
            expect_function(c, w, w->erfc, erfc, 0x1p-70, 26);
        c->cases++;
    }
}

#endif
