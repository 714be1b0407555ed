/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of vocabulary.c. Checks the functions that bodies use: parts, masks, add, select, round,
 * load_f32, and partial loads and stores.
 */
#ifndef BITDROP_TESTS_VOCABULARY_BODIES_H
#define BITDROP_TESTS_VOCABULARY_BODIES_H

enum { MOST_LANES = 32, MOST_BYTES = MOST_LANES * 8 };

/*
 * The functions of one dtype. They read and write memory instead of vectors, so that one check
 * serves all dtypes. `parts` has the parts of a vector one after the other, as numbers of the
 * compute type.
 */
struct functions {
    bitdrop_dtype dtype, compute;
    int lanes, parts;
    void (*split)(const void *x, unsigned char *parts);
    void (*round)(const unsigned char *parts, void *y);
    void (*split_f32)(const void *x, unsigned char *parts); /* x has f32 in every dtype */
    void (*split_partial)(const void *x, size_t n, unsigned char *parts);
    void (*round_partial)(const unsigned char *parts, void *y, size_t n);
    /* One part of y: a where the element is kept, else b. */
    void (*select)(const uint8_t *keep, int v, int part, const void *a, const void *b, void *y);
    /* The mask bits of the elements that are kept and not <= 0. */
    uint32_t (*positive)(const uint8_t *keep, int v, const unsigned char *parts);
};

#define FUNCTIONS(T, COMPUTE, DTYPE, COMPUTE_DTYPE, BYTES)                                         \
    static void T##_store_parts(T##_vec a, unsigned char *parts)                                   \
    {                                                                                              \
        for (int i = 0; i < T##_PARTS; i++)                                                        \
            COMPUTE##_store(parts + i * COMPUTE##_LANES * (BYTES), *T##_part(&a, i));              \
    }                                                                                              \
    static T##_vec T##_load_parts(const unsigned char *parts)                                      \
    {                                                                                              \
        T##_vec a;                                                                                 \
                                                                                                   \
        for (int i = 0; i < T##_PARTS; i++)                                                        \
            *T##_part(&a, i) = COMPUTE##_load(parts + i * COMPUTE##_LANES * (BYTES));              \
        return a;                                                                                  \
    }                                                                                              \
    static void T##_split_memory(const void *x, unsigned char *parts)                              \
    {                                                                                              \
        T##_store_parts(T##_load(x), parts);                                                       \
    }                                                                                              \
    static void T##_split_f32(const void *x, unsigned char *parts)                                 \
    {                                                                                              \
        T##_store_parts(T##_load_f32(x), parts);                                                   \
    }                                                                                              \
    static void T##_round_memory(const unsigned char *parts, void *y)                              \
    {                                                                                              \
        T##_store(y, T##_round(T##_load_parts(parts)));                                            \
    }                                                                                              \
    static void T##_split_partial(const void *x, size_t n, unsigned char *parts)                   \
    {                                                                                              \
        T##_store_parts(T##_load_partial(x, n), parts);                                            \
    }                                                                                              \
    static void T##_round_partial(const unsigned char *parts, void *y, size_t n)                   \
    {                                                                                              \
        T##_store_partial(y, T##_round(T##_load_parts(parts)), n);                                 \
    }                                                                                              \
    static void T##_select_memory(const uint8_t *keep, int v, int part, const void *a,             \
                                  const void *b, void *y)                                          \
    {                                                                                              \
        const COMPUTE##_mask m = T##_keep(keep_bits_load(keep), v, part);                          \
                                                                                                   \
        COMPUTE##_store(y, COMPUTE##_select(m, COMPUTE##_load(a), COMPUTE##_load(b)));             \
    }                                                                                              \
    static uint32_t T##_positive_memory(const uint8_t *keep, int v, const unsigned char *parts)    \
    {                                                                                              \
        COMPUTE##_mask m[T##_PARTS];                                                               \
                                                                                                   \
        for (int i = 0; i < T##_PARTS; i++)                                                        \
            m[i] = COMPUTE##_positive(T##_keep(keep_bits_load(keep), v, i),                        \
                                      COMPUTE##_load(parts + i * COMPUTE##_LANES * (BYTES)));      \
        return T##_mask_bits(m);                                                                   \
    }                                                                                              \
    _Static_assert((int)T##_LANES == (int)COMPUTE##_LANES * (int)T##_PARTS, "parts of a vector");  \
    static const struct functions T##_functions = {                                                \
        DTYPE,                                                                                     \
        COMPUTE_DTYPE,                                                                             \
        T##_LANES,                                                                                 \
        T##_PARTS,                                                                                 \
        T##_split_memory,                                                                          \
        T##_round_memory,                                                                          \
        T##_split_f32,                                                                             \
        T##_split_partial,                                                                         \
        T##_round_partial,                                                                         \
        T##_select_memory,                                                                         \
        T##_positive_memory,                                                                       \
    };

FUNCTIONS(f32, f32, BITDROP_F32, BITDROP_F32, 4)
FUNCTIONS(f64, f64, BITDROP_F64, BITDROP_F64, 8)
FUNCTIONS(f16, f32, BITDROP_F16, BITDROP_F32, 4)
FUNCTIONS(bf16, f32, BITDROP_BF16, BITDROP_F32, 4)

#define SUM(COMPUTE)                                                                               \
    static void COMPUTE##_add_memory(const void *a, const void *b, void *y)                        \
    {                                                                                              \
        COMPUTE##_store(y, COMPUTE##_add(COMPUTE##_load(a), COMPUTE##_load(b)));                   \
    }

SUM(f32)
SUM(f64)

static uint32_t float_word(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    return u;
}

static void expect_bits(struct check *c, bitdrop_dtype t, const char *operation, int i,
                        uint64_t got, uint64_t wanted)
{
    if (got != wanted)
        check_fail(c, "%s %s: element %d is %" PRIx64 ", not %" PRIx64, dtype_name(t), operation, i,
                   got, wanted);
}

/* Fills x with numbers of check_fill, and in f32 also with numbers that are hard to round. */
static void fill_hard(struct check *c, bitdrop_dtype t, unsigned char *x, int n)
{
    static const uint32_t hard[] = {
        0x7FFFFFFF, 0x7FBFFFFF, 0x7F800001, 0x7F80FFFF, 0x7F802000, /* NaNs */
        0x7F7F7FFF, 0x7F7F8000, 0x477FEFFF, 0x477FF000, 0x47800000, /* the edges of infinity */
        0x3F808000, 0x3F818000, 0x3F801000, 0x3F803000,             /* ties */
        0x33000000, 0x33000001, 0x33C00000, 0x387FE000, 0x387FF000, /* denormals of f16 */
        0x00008000, 0x00018000, 0x00000001, 0x007FFFFF,             /* of bf16 and f32 */
    };

    check_fill(c, t, x, (size_t)n);
    for (int i = 0; t == BITDROP_F32 && i < n; i++)
        if (check_below(c, 4) == 0) {
            const uint32_t sign = (uint32_t)check_below(c, 2) << 31;
            const uint32_t u = hard[check_below(c, sizeof hard / sizeof *hard)] | sign;

            memcpy(x + 4 * i, &u, sizeof u);
        }
}

/*
 * Checks T_PARTS and T_part, and finds the order of the elements: element[k] becomes the element
 * that is lane k of the parts. Each element must be there once. f32 and f64 must be in order.
 */
static void check_parts(struct check *c, const struct functions *w, int element[MOST_LANES])
{
    const size_t bytes = dtype_bytes(w->dtype), size = dtype_bytes(w->compute);
    unsigned char x[MOST_BYTES], parts[MOST_BYTES];
    uint32_t seen = 0;

    for (int i = 0; i < w->lanes; i++) {
        const double f64 = i;
        const float f32 = (float)i;
        const uint16_t half = oracle_narrow(w->dtype, f32);
        const void *const number = bytes == 8   ? (const void *)&f64
                                   : bytes == 4 ? (const void *)&f32
                                                : &half;

        memcpy(x + (size_t)i * bytes, number, bytes);
    }
    w->split(x, parts);
    for (int k = 0; k < w->lanes; k++) {
        element[k] = (int)oracle_number(w->compute, parts + (size_t)k * size) & (MOST_LANES - 1);
        seen |= UINT32_C(1) << element[k];
        if (w->dtype == w->compute)
            expect_bits(c, w->dtype, "part", k, (uint64_t)element[k], (uint64_t)k);
    }
    expect_bits(c, w->dtype, "parts", 0, seen, UINT32_MAX >> (32 - w->lanes));
    c->cases++;
}

/* T_load_f32 must put number i where T_load puts element i. */
static void check_load_f32(struct check *c, const struct functions *w, const int *element)
{
    const size_t size = dtype_bytes(w->compute);
    unsigned char x[4 * MOST_LANES], parts[MOST_BYTES], wanted[8];

    check_fill(c, BITDROP_F32, x, (size_t)w->lanes);
    w->split_f32(x, parts);
    for (int k = 0; k < w->lanes; k++) {
        oracle_put(w->compute, oracle_number(BITDROP_F32, x + 4 * element[k]), wanted);
        if (!oracle_same(w->compute, parts + (size_t)k * size, wanted))
            check_fail(c, "%s load_f32: element %d is %" PRIx64, dtype_name(w->dtype), element[k],
                       oracle_bits(w->compute, parts + (size_t)k * size));
    }
    c->cases++;
}

/*
 * Checks T_load_partial and T_store_partial with n less than a vector's elements, equal, and more.
 * T_load_partial must load the same as T_load does when the first element is repeated after the n
 * elements. T_store_partial must store the first n elements that T_store stores, and nothing else.
 */
static void check_partial(struct check *c, const struct functions *w)
{
    const size_t bytes = dtype_bytes(w->dtype), lanes = (size_t)w->lanes;
    unsigned char x[MOST_BYTES], parts[2][MOST_BYTES], y[2][MOST_BYTES];

    for (size_t n = 1; n < 2 * MOST_LANES; n++) {
        memset(parts, 0, sizeof parts);
        memset(y, 0x55, sizeof y);
        check_fill(c, w->dtype, x, lanes);
        w->split_partial(x, n, parts[0]);
        w->split(x, parts[1]);
        w->round(parts[1], y[1]);
        w->round_partial(parts[1], y[0], n);
        for (size_t i = n; i < lanes; i++)
            memcpy(x + i * bytes, x, bytes);
        w->split(x, parts[1]);
        if (n < lanes)
            memset(y[1] + n * bytes, 0x55, (lanes - n) * bytes);
        if (memcmp(parts[0], parts[1], sizeof parts[0]) != 0)
            check_fail(c, "%s load_partial of %zu elements: lanes differ", dtype_name(w->dtype), n);
        if (memcmp(y[0], y[1], sizeof y[0]) != 0)
            check_fail(c, "%s store_partial of %zu elements: bytes differ", dtype_name(w->dtype),
                       n);
        c->cases++;
    }
}

static void check_keep_and_select(struct check *c, const struct functions *w, const int *element)
{
    const size_t size = dtype_bytes(w->compute);
    const int lanes = w->lanes / w->parts;
    unsigned char a[MOST_BYTES], b[MOST_BYTES], y[MOST_BYTES];
    uint8_t mask[4];

    for (int sample = 0; sample < SAMPLES; sample++) {
        const uint32_t bits = random_word(c);
        const int v = (int)check_below(c, 32 / (size_t)w->lanes);
        const int part = (int)check_below(c, (size_t)w->parts);

        store_le32(mask, bits);
        fill_hard(c, w->compute, a, lanes);
        fill_hard(c, w->compute, b, lanes);
        w->select(mask, v, part, a, b, y);
        for (int i = 0; i < lanes; i++) {
            const int e = element[part * lanes + i];
            const bool kept = bits >> (v * w->lanes + e) & 1;
            const size_t at = (size_t)i * size;

            expect_bits(c, w->dtype, "keep and select", e, oracle_bits(w->compute, y + at),
                        oracle_bits(w->compute, kept ? a + at : b + at));
        }
        c->cases++;
    }
}

static void check_positive(struct check *c, const struct functions *w, const int *element)
{
    const size_t size = dtype_bytes(w->compute);
    unsigned char parts[MOST_BYTES];
    uint8_t mask[4];

    for (int sample = 0; sample < SAMPLES; sample++) {
        const uint32_t bits = random_word(c);
        const int v = (int)check_below(c, 32 / (size_t)w->lanes);
        uint32_t wanted = 0;

        store_le32(mask, bits);
        fill_hard(c, w->compute, parts, w->lanes);
        for (int k = 0; k < w->lanes; k++) {
            const bool kept = bits >> (v * w->lanes + element[k]) & 1;
            const double number = oracle_number(w->compute, parts + (size_t)k * size);

            wanted |= (uint32_t)(kept && !islessequal(number, 0)) << element[k];
        }
        expect_bits(c, w->dtype, "keep, positive and mask_bits", 0, w->positive(mask, v, parts),
                    wanted);
        c->cases++;
    }
}

/* Compares `round` with the oracle, for the parts of one vector. */
static void expect_round(struct check *c, const struct functions *w, const int *element,
                         const unsigned char *parts)
{
    const size_t bytes = dtype_bytes(w->dtype), size = dtype_bytes(w->compute);
    unsigned char y[MOST_BYTES] = {0};

    w->round(parts, y);
    for (int k = 0; k < w->lanes; k++) {
        const unsigned char *x = parts + (size_t)k * size;
        const uint64_t got = oracle_bits(w->dtype, y + (size_t)element[k] * bytes);
        float f32;

        if (w->dtype == w->compute) {
            expect_bits(c, w->dtype, "round", element[k], got, oracle_bits(w->dtype, x));
            continue;
        }
        memcpy(&f32, x, sizeof f32);
        const uint16_t wanted = oracle_narrow(w->dtype, f32);
        if (got != wanted)
            check_fail(c, "%s round: element %d, %08" PRIx64 ", is %" PRIx64 ", not %x",
                       dtype_name(w->dtype), element[k], oracle_bits(BITDROP_F32, x), got, wanted);
    }
    c->cases++;
}

static void check_round(struct check *c, const struct functions *w, const int *element)
{
    unsigned char parts[MOST_BYTES];

    for (int sample = 0; sample < SAMPLES; sample++) {
        fill_hard(c, w->compute, parts, w->lanes);
        expect_round(c, w, element, parts);
    }
}

/* The f32 halfway between number h of a half type and the next number of greater magnitude. */
static uint32_t halfway(bitdrop_dtype t, uint32_t h)
{
    const uint32_t exact = float_word(oracle_widen(t, (uint16_t)h));

    if (t == BITDROP_BF16)
        return exact + 0x8000;
    if ((h & 0x7FFF) >= 0x400)
        return exact + 0x1000;
    return float_word(((float)(h & 0x3FF) + 0.5F) * 0x1p-24F) | (exact & 0x80000000);
}

/* Rounds each value of a half type, each f32 halfway between two, and the next f32 to each. */
static void check_round_edges(struct check *c, const struct functions *w, const int *element)
{
    const uint32_t lanes = (uint32_t)w->lanes;
    unsigned char parts[MOST_BYTES];

    for (uint32_t first = lanes * (uint32_t)check_below(c, c->thin); first < 0x10000;
         first += lanes * c->thin)
        for (uint32_t edge = 0; edge < 6; edge++) {
            for (uint32_t k = 0; k < lanes; k++) {
                const uint32_t h = first + (uint32_t)element[k];
                const uint32_t exact = float_word(oracle_widen(w->dtype, (uint16_t)h));
                const uint32_t u = (edge < 3 ? exact : halfway(w->dtype, h)) + edge % 3 - 1;

                memcpy(parts + 4 * k, &u, sizeof u);
            }
            expect_round(c, w, element, parts);
        }
}

/* Replaces a denormal f32 by 0 if the ISA is NEON of ARMv7, which reads it so. */
static void flush_as_read(const struct check *c, bitdrop_dtype t, void *x)
{
#ifdef __arm__
    float f32;

    if (c->isa != BITDROP_ISA_NEON || t != BITDROP_F32)
        return;
    memcpy(&f32, x, sizeof f32);
    if (fpclassify(f32) == FP_SUBNORMAL)
        f32 = copysignf(0, f32);
    memcpy(x, &f32, sizeof f32);
#else
    (void)c;
    (void)t;
    (void)x;
#endif
}

static void native_sum(bitdrop_dtype t, const void *a, const void *b, void *y)
{
    volatile double f64[2];
    volatile float f32[2];

    if (t == BITDROP_F64) {
        f64[0] = oracle_number(t, a);
        f64[1] = oracle_number(t, b);
        memcpy(y, &(double){f64[0] + f64[1]}, sizeof(double));
    } else {
        memcpy((void *)f32, a, sizeof(float));
        memcpy((void *)(f32 + 1), b, sizeof(float));
        memcpy(y, &(float){f32[0] + f32[1]}, sizeof(float));
    }
}

/* Whether y is one of two NaNs a and b, made quiet. Their sum may be either. */
static bool is_either_nan(bitdrop_dtype t, const void *a, const void *b, const void *y)
{
    const uint64_t quiet = UINT64_C(1) << (t == BITDROP_F64 ? 51 : 22), got = oracle_bits(t, y);

    return oracle_is_nan(t, a) && oracle_is_nan(t, b) &&
           (got == (oracle_bits(t, a) | quiet) || got == (oracle_bits(t, b) | quiet));
}

/* Whether y is an allowed sum. NEON of ARMv7 has only one NaN, and 0 instead of denormals. */
static bool is_sum(const struct check *c, bitdrop_dtype t, const void *wanted, const void *y)
{
    if (oracle_bits(t, wanted) == oracle_bits(t, y))
        return true;
#ifdef __arm__
    if (c->isa == BITDROP_ISA_NEON && t == BITDROP_F32)
        return oracle_same(t, wanted, y) ||
               (fabs(oracle_number(t, wanted)) <= 0x1p-126 && oracle_number(t, y) == 0 &&
                !signbit(oracle_number(t, wanted)) == !signbit(oracle_number(t, y)));
#else
    (void)c;
#endif
    return false;
}

static void check_add(struct check *c, bitdrop_dtype t, int lanes,
                      void (*add)(const void *a, const void *b, void *y))
{
    const size_t size = dtype_bytes(t);
    unsigned char a[MOST_BYTES], b[MOST_BYTES], y[MOST_BYTES], wanted[8];

    for (int sample = 0; sample < SAMPLES; sample++) {
        fill_hard(c, t, a, lanes);
        fill_hard(c, t, b, lanes);
        if (sample % 4 == 0) /* sums that cancel */
            for (int i = 0; i < lanes; i++) {
                memcpy(b + (size_t)i * size, a + (size_t)i * size, size);
                b[(size_t)i * size + size - 1] ^= 0x80;
                b[(size_t)i * size] ^= (unsigned char)check_below(c, 4);
            }
        add(a, b, y);
        for (size_t at = 0; at < (size_t)lanes * size; at += size) {
            flush_as_read(c, t, a + at);
            flush_as_read(c, t, b + at);
            native_sum(t, a + at, b + at, wanted);
            if (!is_sum(c, t, wanted, y + at) && !is_either_nan(t, a + at, b + at, y + at))
                check_fail(c, "%s: %" PRIx64 " + %" PRIx64 " is %" PRIx64 ", not %" PRIx64,
                           dtype_name(t), oracle_bits(t, a + at), oracle_bits(t, b + at),
                           oracle_bits(t, y + at), oracle_bits(t, wanted));
        }
        c->cases++;
    }
}

static void check_bodies(struct check *c)
{
    static const struct functions *const all[] = {&f32_functions, &f64_functions, &f16_functions,
                                                  &bf16_functions};

    for (int i = 0; i < 4; i++) {
        int element[MOST_LANES];

        check_parts(c, all[i], element);
        for (int sample = 0; sample < SAMPLES; sample++)
            check_load_f32(c, all[i], element);
        check_partial(c, all[i]);
        check_keep_and_select(c, all[i], element);
        check_positive(c, all[i], element);
        check_round(c, all[i], element);
        if (all[i]->dtype != all[i]->compute)
            check_round_edges(c, all[i], element);
    }
    check_add(c, BITDROP_F32, f32_LANES, f32_add_memory);
    check_add(c, BITDROP_F64, f64_LANES, f64_add_memory);
}

#endif
