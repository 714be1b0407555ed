/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of vocabulary.c, included after vocabulary_bodies.h. Checks the functions that matrix
 * products and attention use: broadcast, mul_add, zip, store_f32 of the half types, and pair_*.
 */
#ifndef BITDROP_TESTS_VOCABULARY_PRODUCT_H
#define BITDROP_TESTS_VOCABULARY_PRODUCT_H

/* The functions of one compute type, on memory as in struct functions. */
struct product_functions {
    bitdrop_dtype dtype;
    int lanes;
    void (*broadcast)(const void *p, void *y);
    void (*mul_add)(const void *a, const void *b, const void *c, void *y);
    void (*zip)(const void *a, const void *b, void *low, void *high);
};

#define PRODUCT_FUNCTIONS(C, DTYPE)                                                                \
    static void C##_broadcast_memory(const void *p, void *y) { C##_store(y, C##_broadcast(p)); }   \
    static void C##_mul_add_memory(const void *a, const void *b, const void *c, void *y)           \
    {                                                                                              \
        C##_store(y, C##_mul_add(C##_load(a), C##_load(b), C##_load(c)));                          \
    }                                                                                              \
    static void C##_zip_memory(const void *a, const void *b, void *low, void *high)                \
    {                                                                                              \
        C##_vec first, second;                                                                     \
                                                                                                   \
        C##_zip(C##_load(a), C##_load(b), &first, &second);                                        \
        C##_store(low, first);                                                                     \
        C##_store(high, second);                                                                   \
    }                                                                                              \
    static const struct product_functions C##_product_functions = {                                \
        DTYPE, C##_LANES, C##_broadcast_memory, C##_mul_add_memory, C##_zip_memory};

PRODUCT_FUNCTIONS(f32, BITDROP_F32)
PRODUCT_FUNCTIONS(f64, BITDROP_F64)

#define STORE_F32(T)                                                                               \
    static void T##_store_f32_memory(const void *x, void *y) { T##_store_f32(y, T##_load(x)); }

STORE_F32(f16)
STORE_F32(bf16)

/*
 * Whether y is x. A signalling NaN may have become quiet, in y by an instruction, and in x by the
 * oracle: on i686 a function that returns a float makes it quiet.
 */
static bool is_copy(bitdrop_dtype t, const void *x, const void *y)
{
    const uint64_t quiet = UINT64_C(1) << (t == BITDROP_F64 ? 51 : 22);

    return oracle_bits(t, x) == oracle_bits(t, y) ||
           (oracle_is_nan(t, x) && oracle_is_nan(t, y) &&
            (oracle_bits(t, x) | quiet) == (oracle_bits(t, y) | quiet));
}

static void expect_broadcast(struct check *c, const struct product_functions *w, const void *x)
{
    const size_t size = dtype_bytes(w->dtype);
    unsigned char at[8 + 1], y[MOST_BYTES];

    memcpy(at + 1, x, size); /* any address */
    w->broadcast(at + 1, y);
    for (size_t i = 0; i < (size_t)w->lanes; i++)
        if (!is_copy(w->dtype, x, y + i * size))
            check_fail(c, "%s broadcast: lane %zu is %" PRIx64 ", not %" PRIx64,
                       dtype_name(w->dtype), i, oracle_bits(w->dtype, y + i * size),
                       oracle_bits(w->dtype, x));
}

/* Both results of zip together must have lane 0 of a, lane 0 of b, lane 1 of a, and so on. */
static void expect_zip(struct check *c, const struct product_functions *w, const unsigned char *a,
                       const unsigned char *b)
{
    const size_t size = dtype_bytes(w->dtype), lanes = (size_t)w->lanes;
    unsigned char y[2 * MOST_BYTES];

    w->zip(a, b, y, y + lanes * size);
    for (size_t i = 0; i < 2 * lanes; i++)
        expect_bits(c, w->dtype, "zip", (int)i, oracle_bits(w->dtype, y + i * size),
                    oracle_bits(w->dtype, (i % 2 ? b : a) + i / 2 * size));
}

/* Whether mul_add rounds once. */
static bool is_fused(const struct check *c)
{
#ifdef __arm__
    (void)c;
    return false;
#else
    return c->isa != BITDROP_ISA_SCALAR;
#endif
}

static void native_mul_add(const struct check *c, bitdrop_dtype t, const void *a, const void *b,
                           const void *add, void *y)
{
    if (t == BITDROP_F64) {
        const double x = oracle_number(t, a), z = oracle_number(t, b), s = oracle_number(t, add);
        const volatile double product = x * z;
        const double sum = is_fused(c) ? fma(x, z, s) : product + s;

        memcpy(y, &sum, sizeof sum);
    } else {
        float x, z, s;

        memcpy(&x, a, sizeof x);
        memcpy(&z, b, sizeof z);
        memcpy(&s, add, sizeof s);
        volatile float product = x * z;
        float flushed = product;

        flush_as_read(c, t, &flushed);
        const float sum = is_fused(c) ? fmaf(x, z, s) : flushed + s;
        memcpy(y, &sum, sizeof sum);
    }
}

/* Whether y differs only because NEON of ARMv7 has 0 instead of denormals. */
static bool is_flushed(const struct check *c, bitdrop_dtype t, const void *wanted, const void *y)
{
#ifdef __arm__
    return c->isa == BITDROP_ISA_NEON && t == BITDROP_F32 &&
           fabs(oracle_number(t, wanted) - oracle_number(t, y)) <= 0x1p-126;
#else
    (void)c;
    (void)t;
    (void)wanted;
    (void)y;
    return false;
#endif
}

/* d becomes -(a * b) rounded, so that a * b + d is the rounding error of the product, or 0. */
static void cancel(const struct check *c, const struct product_functions *w, const unsigned char *a,
                   const unsigned char *b, unsigned char *d)
{
    const size_t size = dtype_bytes(w->dtype);

    for (size_t at = 0; at < (size_t)w->lanes * size; at += size) {
        const unsigned char zero[8] = {0};

        native_mul_add(c, w->dtype, a + at, b + at, zero, d + at);
        d[at + size - 1] ^= 0x80;
    }
}

static void expect_mul_add(struct check *c, const struct product_functions *w, unsigned char *a,
                           unsigned char *b, unsigned char *d)
{
    const size_t size = dtype_bytes(w->dtype);
    unsigned char y[MOST_BYTES], wanted[8];

    w->mul_add(a, b, d, y);
    for (size_t at = 0; at < (size_t)w->lanes * size; at += size) {
        flush_as_read(c, w->dtype, a + at);
        flush_as_read(c, w->dtype, b + at);
        flush_as_read(c, w->dtype, d + at);
        native_mul_add(c, w->dtype, a + at, b + at, d + at, wanted);
        if (oracle_is_nan(w->dtype, wanted)
                ? !oracle_is_quiet_nan(w->dtype, y + at)
                : oracle_bits(w->dtype, wanted) != oracle_bits(w->dtype, y + at) &&
                      !is_flushed(c, w->dtype, wanted, y + at))
            check_fail(c, "%s: %a * %a + %a is %a, not %a", dtype_name(w->dtype),
                       oracle_number(w->dtype, a + at), oracle_number(w->dtype, b + at),
                       oracle_number(w->dtype, d + at), oracle_number(w->dtype, y + at),
                       oracle_number(w->dtype, wanted));
    }
}

/* (1 + e)^2 is 1 + 2 e + e^2. Rounding the product drops e^2, so only a fused mul_add keeps it. */
static void check_fused(struct check *c, const struct product_functions *w)
{
    const double eps = w->dtype == BITDROP_F64 ? 0x1p-30 : 0x1p-13;
    const size_t size = dtype_bytes(w->dtype);
    unsigned char a[MOST_BYTES], d[MOST_BYTES], y[MOST_BYTES];

    for (size_t i = 0; i < (size_t)w->lanes; i++) {
        oracle_put(w->dtype, 1 + eps, a + i * size);
        oracle_put(w->dtype, -(1 + 2 * eps), d + i * size);
    }
    w->mul_add(a, a, d, y);
    for (size_t i = 0; i < (size_t)w->lanes; i++)
        if (oracle_number(w->dtype, y + i * size) != (is_fused(c) ? eps * eps : 0))
            check_fail(c, "%s mul_add: (1 + e)^2 - (1 + 2 e) is %a", dtype_name(w->dtype),
                       oracle_number(w->dtype, y + i * size));
}

static void check_product_functions(struct check *c, const struct product_functions *w)
{
    unsigned char a[MOST_BYTES], b[MOST_BYTES], d[MOST_BYTES];

    check_fused(c, w);
    for (int sample = 0; sample < SAMPLES; sample++) {
        fill_hard(c, w->dtype, a, w->lanes);
        fill_hard(c, w->dtype, b, w->lanes);
        fill_hard(c, w->dtype, d, w->lanes);
        expect_broadcast(c, w, a);
        expect_zip(c, w, a, b);
        if (sample % 4 == 0)
            cancel(c, w, a, b, d);
        expect_mul_add(c, w, a, b, d);
        c->cases++;
    }
}

/* Checks store_f32 on all values of a half type. */
static void check_store_f32(struct check *c, bitdrop_dtype t, uint32_t lanes,
                            void (*store)(const void *x, void *y))
{
    for (uint32_t first = 0; first < 0x10000; first += lanes) {
        uint16_t x[MOST_LANES];
        unsigned char y[4 * MOST_LANES + 1];

        for (uint32_t i = 0; i < lanes; i++)
            x[i] = (uint16_t)(first + i);
        store(x, y + 1); /* any address */
        for (uint32_t i = 0; i < lanes; i++) {
            const float wanted = oracle_widen(t, x[i]);

            if (!is_copy(BITDROP_F32, &wanted, y + 1 + 4 * i))
                check_fail(c, "%s store_f32: %x is %" PRIx64 ", not %a", dtype_name(t), x[i],
                           oracle_bits(BITDROP_F32, y + 1 + 4 * i), wanted);
        }
        c->cases++;
    }
}

#ifdef WITH_AVX512_BF16
enum { PAIR_HALVES = 2 * f32_LANES };

/* The instructions of pairs treat denormals as 0. */
static float as_factor(float x) { return fpclassify(x) == FP_SUBNORMAL ? copysignf(0, x) : x; }

static uint16_t half_of(uint32_t word)
{
    float x;

    memcpy(&x, &word, sizeof x);
    return oracle_narrow(BITDROP_BF16, as_factor(x));
}

static void expect_halves(struct check *c, const char *operation, const uint32_t *words,
                          const uint16_t *got, const int *from)
{
    for (int i = 0; i < PAIR_HALVES; i++)
        if (got[i] != half_of(words[from[i]]))
            check_fail(c, "%s: element %d, %08" PRIx32 ", is %x, not %x", operation, i,
                       words[from[i]], got[i], half_of(words[from[i]]));
}

/* pair_pack must have the numbers in order, and pair_of must alternate between both halves. */
static void expect_pack(struct check *c, const uint32_t words[PAIR_HALVES])
{
    const f32_vec a = f32_load(words), b = f32_load(words + f32_LANES);
    uint16_t got[PAIR_HALVES];
    int in_order[PAIR_HALVES], in_turn[PAIR_HALVES];

    for (int i = 0; i < PAIR_HALVES; i++) {
        in_order[i] = i;
        in_turn[i] = i % 2 * f32_LANES + i / 2;
    }
    pair_store(got, pair_pack(a, b));
    expect_halves(c, "pair_pack", words, got, in_order);
    pair_store(got, pair_of(a, b));
    expect_halves(c, "pair_of", words, got, in_turn);
}

/* Packs each value of bf16, each f32 halfway between two, and the next f32 on both sides. */
static void check_pack(struct check *c)
{
    uint32_t words[PAIR_HALVES];

    for (uint32_t first = 0; first < 0x10000; first += PAIR_HALVES)
        for (uint32_t edge = 0; edge < 6; edge++) {
            for (uint32_t i = 0; i < PAIR_HALVES; i++)
                words[i] = (edge < 3 ? (first + i) << 16 : halfway(BITDROP_BF16, first + i)) +
                           edge % 3 - 1;
            expect_pack(c, words);
        }
    c->cases++;
}

/* pair_load_half must load the first n elements, or all, and +0 in the lanes after them. */
static void check_load_half(struct check *c)
{
    for (uint32_t first = 0; first < 0x10000; first += f32_LANES) {
        const size_t n = first % 3 ? 1 + first / f32_LANES % (2 * f32_LANES) : f32_LANES;
        uint16_t x[f32_LANES];
        uint32_t y[f32_LANES];

        for (uint32_t i = 0; i < f32_LANES; i++)
            x[i] = (uint16_t)(first + i);
        f32_store(y, pair_load_half(x, n));
        for (uint32_t i = 0; i < f32_LANES; i++)
            expect_word(c, "pair_load_half", (int)i, y[i], i < n ? (first + i) << 16 : 0);
    }
    c->cases++;
}

static void expect_pair_broadcast(struct check *c, uint32_t word)
{
    unsigned char at[5];
    uint32_t y[f32_LANES];

    memcpy(at + 1, &word, sizeof word); /* any address */
    pair_store(y, pair_broadcast(at + 1));
    for (int i = 0; i < f32_LANES; i++)
        expect_word(c, "pair_broadcast", i, y[i], word);
}

/*
 * CPUs may round or flush the sum once or twice. If all numbers are integers, the sum must be
 * exact.
 */
static void expect_pair_sum(struct check *c, const uint16_t a[2], const uint16_t b[2], float add,
                            float got, bool exact)
{
    double term[3] = {as_factor(add)}, sum = 0, most = 0;

    for (int i = 0; i < 2; i++)
        term[i + 1] = (double)as_factor(oracle_widen(BITDROP_BF16, a[i])) *
                      (double)as_factor(oracle_widen(BITDROP_BF16, b[i]));
    for (int i = 0; i < 3; i++) {
        if (fabs(term[i]) >= 0x1p126 && fabs(term[i]) < INFINITY)
            return; /* a part of the sum may overflow */
        sum += term[i];
        most += fabs(term[i]);
    }
    if (most < INFINITY ? !(fabs(got - sum) <= (exact ? 0 : 0x1p-23 * most + 0x1p-125))
                        : !(got == sum || (got != got && sum != sum)))
        check_fail(c, "pair_mul_add: %a + %a + %a is %a", term[0], term[1], term[2], got);
}

static void check_pair_mul_add(struct check *c, bool integers)
{
    uint16_t a[PAIR_HALVES], b[PAIR_HALVES];
    float add[f32_LANES], y[f32_LANES];

    check_fill(c, BITDROP_BF16, a, PAIR_HALVES);
    check_fill(c, BITDROP_BF16, b, PAIR_HALVES);
    check_fill(c, BITDROP_F32, add, f32_LANES);
    for (int i = 0; integers && i < PAIR_HALVES; i++) {
        a[i] = oracle_narrow(BITDROP_BF16, (float)check_below(c, 257) - 128);
        b[i] = oracle_narrow(BITDROP_BF16, (float)check_below(c, 257) - 128);
        add[i / 2] = (float)check_below(c, 1 << 21) - (1 << 20);
    }
    f32_store(y, pair_mul_add(pair_load(a), pair_load(b), f32_load(add)));
    for (int i = 0; i < f32_LANES; i++)
        expect_pair_sum(c, a + (size_t)2 * i, b + (size_t)2 * i, add[i], y[i], integers);
}

static void check_pairs(struct check *c)
{
    check_pack(c);
    check_load_half(c);
    for (int sample = 0; sample < SAMPLES; sample++) {
        uint32_t words[PAIR_HALVES];

        fill_hard(c, BITDROP_F32, (unsigned char *)words, PAIR_HALVES);
        expect_pack(c, words);
        expect_pair_broadcast(c, words[0]);
        check_pair_mul_add(c, sample % 2);
        c->cases++;
    }
}
#endif

static void check_products(struct check *c)
{
    check_product_functions(c, &f32_product_functions);
    check_product_functions(c, &f64_product_functions);
    check_store_f32(c, BITDROP_F16, f16_LANES, f16_store_f32_memory);
    check_store_f32(c, BITDROP_BF16, bf16_LANES, bf16_store_f32_memory);
#ifdef WITH_AVX512_BF16
    check_pairs(c);
#endif
}

#endif
