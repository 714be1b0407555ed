/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that each function of one ISA's vocabulary does what docs/design.md says, and checks the
 * Philox that is made of them. Compiled once for each ISA, with
 *
 *   VEC_H             its vec.h
 *   VEC_PRODUCT_H     its vec_product.h
 *   CHECK_VOCABULARY  check_vocabulary_<isa>
 *   CHECK_PHILOX      check_philox_<isa>
 */
#include "exact.h"

#include <fenv.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include VEC_H
#include VEC_PRODUCT_H

#include "call.h"
#include "check.h"
#include "oracle.h"
#include "reference.h"
#include "template/bits.h"
#include "template/late.h"

enum { PLANE_WORDS = 4 * LANES, SAMPLES = 2000 };

static const uint32_t special_words[] = {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF};

static uint32_t random_word(struct check *c)
{
    return check_below(c, 3) == 0 ? special_words[check_below(c, 6)] : (uint32_t)check_random(c);
}

static void random_words(struct check *c, uint32_t *w)
{
    for (int i = 0; i < LANES; i++)
        w[i] = random_word(c);
}

static void expect_word(struct check *c, const char *operation, int lane, uint32_t got,
                        uint32_t wanted)
{
    if (got != wanted)
        check_fail(c, "%s: lane %d is %08" PRIx32 ", not %08" PRIx32, operation, lane, got, wanted);
}

#define EXPECT_LANES(operation, value, expression)                                                 \
    do {                                                                                           \
        uint32_t got_[LANES];                                                                      \
        vec_store(got_, value);                                                                    \
        for (int i = 0; i < LANES; i++)                                                            \
            expect_word(c, operation, i, got_[i], expression);                                     \
    } while (0)

static void check_words(struct check *c)
{
    uint32_t a[LANES], b[LANES], d[LANES], clean[LANES];

    for (int sample = 0; sample < SAMPLES; sample++) {
        const uint32_t m = sample % 2 ? PHILOX_M0 : PHILOX_M1;
        vec hi, lo;

        random_words(c, a);
        random_words(c, b);
        random_words(c, d);
        /* A product leaves dirt in the high halves of 64-bit lanes. No result may depend on it. */
        vec_mul(vec_load(a), PHILOX_M0, &hi, &lo);
        vec_store(clean, lo);
        const vec dirt = vec_xor(lo, vec_load(clean));
        const vec va = vec_xor(vec_load(a), dirt), vb = vec_xor(vec_load(b), dirt);
        const vec vd = vec_xor(vec_load(d), dirt);

        EXPECT_LANES("vec_load, vec_store", va, a[i]);
        EXPECT_LANES("vec_set1", vec_set1(a[0]), a[0]);
        EXPECT_LANES("vec_add", vec_add(va, vb), a[i] + b[i]);
        EXPECT_LANES("vec_xor", vec_xor(va, vb), a[i] ^ b[i]);
        EXPECT_LANES("vec_xor_key", vec_xor_key(va, vb, &d[0]), a[i] ^ b[i] ^ d[0]);
        EXPECT_LANES("vec_and", vec_and(va, vb), a[i] & b[i]);
        EXPECT_LANES("vec_andnot", vec_andnot(va, vb), a[i] & ~b[i]);
        EXPECT_LANES("vec_or", vec_or(va, vb), a[i] | b[i]);
        EXPECT_LANES("vec_or_and", vec_or_and(vec_andnot(va, vb), vb, vd),
                     (a[i] & ~b[i]) | (b[i] & d[i]));
        vec_mul(va, m, &hi, &lo);
        EXPECT_LANES("vec_mul, high", hi, (uint32_t)((uint64_t)a[i] * m >> 32));
        EXPECT_LANES("vec_mul, low", lo, a[i] * m);
        c->cases++;
    }
}

/*
 * Checks vec_blocks or vec_blocks_load, vec_mul_pack and vec_planes_store together: the words of
 * the i-th block must be stored at byte 16 * i.
 */
static void check_planes(struct check *c)
{
    uint8_t bytes[BLOCK_BYTES * LANES];
    uint32_t block[LANES];
    const uint32_t g = (uint32_t)check_random(c) / LANES * LANES;
    const uint32_t key[2] = {random_word(c), random_word(c)};
    const bool listed = check_below(c, 2);
    vec dirt, counter, b[2], planes[VECS];

    for (uint32_t i = 0; i < LANES; i++)
        block[i] = listed ? random_word(c) : g + i;
    counter = listed ? vec_blocks_load(block) : vec_blocks(g);
    vec_mul(counter, 5, &dirt, &b[0]);
    vec_mul(counter, 7, &dirt, &b[1]);
    vec_mul_pack(counter, PHILOX_M1, b[0], &key[0], planes);
    vec_mul_pack(counter, PHILOX_M0, b[1], &key[1], planes + VECS / 2);
    vec_planes_store(bytes, planes);
    for (uint32_t i = 0; i < LANES; i++) {
        const uint64_t m1 = (uint64_t)PHILOX_M1 * block[i], m0 = (uint64_t)PHILOX_M0 * block[i];
        const uint32_t words[4] = {(uint32_t)(m1 >> 32) ^ 5 * block[i] ^ key[0], (uint32_t)m1,
                                   (uint32_t)(m0 >> 32) ^ 7 * block[i] ^ key[1], (uint32_t)m0};

        for (int w = 0; w < 4; w++)
            expect_word(c, "vec_mul_pack", (int)i, load_le32(bytes + 16 * i + 4 * w), words[w]);
    }
}

/* An ISA may order the words of a full vector as it likes, but full_join must undo full_spread. */
static void check_full(struct check *c)
{
    uint8_t bytes[4 * FULL_LANES];
    uint32_t a[LATE_WORDS], got[LATE_WORDS], sum[LATE_WORDS], block[TILE_BLOCKS];
    const uint32_t first = (uint32_t)check_below(c, TILE_WORDS);
    vec full[FULLS], lanes[CHAINS];

    for (int i = 0; i < LATE_WORDS; i++)
        a[i] = random_word(c);
    for (int v = 0; v < FULLS; v++)
        full[v] = full_load(a + v * FULL_LANES);
    full_spread(full, lanes);
    for (int i = 0; i < CHAINS; i++)
        lanes[i] = vec_add(lanes[i], vec_set1(first));
    full_join(lanes, full);
    for (int v = 0; v < FULLS; v++)
        full_store(sum + v * FULL_LANES, full[v]);
    for (int i = 0; i < LATE_WORDS; i++)
        expect_word(c, "full_spread, full_join", i, sum[i], a[i] + first);

    for (int i = 0; i < FULL_LANES; i++)
        store_le32(bytes + 4 * i, a[i]);
    full_store(got, full_load_bytes(bytes));
    for (int i = 0; i < FULL_LANES; i++)
        expect_word(c, "full_load_bytes", i, got[i], a[i]);
    full_store(got, full_index(first));
    for (uint32_t i = 0; i < FULL_LANES; i++)
        expect_word(c, "full_index", (int)i, got[i], first + i);

    for (int i = 0; i < TILE_BLOCKS; i++)
        block[i] = random_word(c);
    for (int i = 0; i < FULL_LANES; i++)
        a[i] = (uint32_t)check_below(c, TILE_WORDS);
    full_store(got, full_words(block, full_load(a)));
    for (int i = 0; i < FULL_LANES; i++)
        expect_word(c, "full_words", i, got[i], 4 * block[a[i] / 4] + a[i] % 4);
}

static void check_open_words(struct check *c)
{
    uint8_t open[4 * SEGMENT_WORDS];
    uint32_t wanted_at[SEGMENT_WORDS], wanted[SEGMENT_WORDS];
    struct open_words list;

    for (int sample = 0; sample < SAMPLES; sample++) {
        const size_t before = check_below(c, TILE_WORDS - SEGMENT_WORDS + 1);
        const uint32_t first = (uint32_t)check_below(c, TILE_WORDS);
        size_t count = 0;

        for (uint32_t i = 0; i < SEGMENT_WORDS; i++) {
            const bool is_open = check_below(c, 8) < (uint64_t)(sample % 9);
            const uint32_t word = is_open ? UINT32_C(1) << check_below(c, 32) : 0;

            store_le32(open + (size_t)4 * i, word);
            wanted_at[count] = first + i;
            wanted[count] = word;
            count += is_open;
        }
        const size_t found = open_words_gather(&list, before, first, open);
        if (found != before + count)
            check_fail(c, "full_pick: %zu found, not %zu", found - before, count);
        open_words_pad(&list, found);
        for (size_t i = 0; i < count; i++) {
            expect_word(c, "full_pick, at", (int)i, list.at[before + i], wanted_at[i]);
            expect_word(c, "full_pick, open", (int)i, list.open[before + i], wanted[i]);
        }
        for (size_t i = found; i < found + LATE_WORDS; i++)
            if (list.at[i] >= LATE_WORDS || list.open[i] != 0)
                check_fail(c, "open_words_pad: entry %zu is word %" PRIx32 " of %" PRIu32,
                           i - found, list.open[i], list.at[i]);
    }
}

/* Compares one element with plain dropout by the reference. */
static void expect_element(struct check *c, const bitdrop_config *cfg, bitdrop_dtype t, int i,
                           const void *x, const void *got, uint32_t keep)
{
    struct element e = {.op = OP_forward, .cfg = cfg, .dtype = t, .in = {x}};

    e.keep = keep >> i & 1;
    reference(&e);
    if (!reference_accepts(c->isa, &e, got, NULL))
        check_fail(c,
                   "%s: element %d, %" PRIx64 " at p = %a, is %" PRIx64 ", not %" PRIx64
                   "; keep bits %08" PRIx32,
                   dtype_name(t), i, oracle_bits(t, x), cfg->p, oracle_bits(t, got),
                   oracle_bits(t, e.y), keep);
}

/* Applies strips of one dtype, as kernels do: load, mul, kept, and store or stream. */
#define CHECK_DTYPE(T, COMPUTE, DTYPE, BYTES)                                                      \
    static void check_##T(struct check *c)                                                         \
    {                                                                                              \
        enum { VECTOR = T##_LANES * (BYTES) };                                                     \
        _Alignas(64) unsigned char x[32 * (BYTES)], y[32 * (BYTES)];                               \
                                                                                                   \
        for (int sample = 0; sample < SAMPLES; sample++) {                                         \
            const bitdrop_config cfg = {.p = (double)(sample % 97) / 97};                          \
            const double scale = 1.0 / (1.0 - cfg.p);                                              \
            const uint32_t bits = random_word(c);                                                  \
            uint8_t mask[4];                                                                       \
                                                                                                   \
            store_le32(mask, bits);                                                                \
            check_fill(c, DTYPE, x, 32);                                                           \
            for (int v = 0; v < 32 / T##_LANES; v++) {                                             \
                const T##_vec a = T##_mul(T##_load(x + v * VECTOR), COMPUTE##_set1(scale));        \
                const T##_packed b = T##_kept(a, keep_bits_load(mask), v);                         \
                                                                                                   \
                if (sample % 2)                                                                    \
                    T##_store(y + v * VECTOR, b);                                                  \
                else                                                                               \
                    T##_stream(y + v * VECTOR, b);                                                 \
            }                                                                                      \
            stream_fence();                                                                        \
            for (int i = 0; i < 32; i++)                                                           \
                expect_element(c, &cfg, DTYPE, i, x + i * (BYTES), y + i * (BYTES), bits);         \
            c->cases++;                                                                            \
        }                                                                                          \
    }

CHECK_DTYPE(f32, f32, BITDROP_F32, 4)
CHECK_DTYPE(f64, f64, BITDROP_F64, 8)
CHECK_DTYPE(f16, f32, BITDROP_F16, 2)
CHECK_DTYPE(bf16, f32, BITDROP_BF16, 2)

#include "vocabulary_bodies.h"
#include "vocabulary_math.h"
#include "vocabulary_product.h"

/*
 * Normal numbers must be rounded to nearest even, as f16 and bf16, in every rounding mode. Not on
 * Arm, where the instruction rounds as the mode says.
 */
#ifdef __x86_64__
static void check_rounding_modes(struct check *c, const struct functions *w)
{
    static const int modes[] = {FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    const int usual = fegetround();

    for (int sample = 0; sample < SAMPLES; sample++) {
        float x[MOST_LANES];
        uint16_t wanted[MOST_LANES] = {0}, got[MOST_LANES] = {0};

        for (int i = 0; i < w->lanes; i++)
            x[i] = ldexpf((float)(1.5 + check_unit(c) / 2), (int)check_below(c, 28) - 14);
        w->round((const unsigned char *)x, wanted);
        fesetround(modes[sample % 3]);
        w->round((const unsigned char *)x, got);
        fesetround(usual);
        for (int i = 0; i < w->lanes; i++)
            expect_word(c, dtype_name(w->dtype), i, got[i], wanted[i]);
        c->cases++;
    }
}
#endif

void CHECK_VOCABULARY(struct check *c)
{
    check_words(c);
    for (int sample = 0; sample < SAMPLES; sample++)
        check_planes(c);
    for (int sample = 0; sample < SAMPLES; sample++)
        check_full(c);
    check_open_words(c);
    check_f32(c);
    check_f64(c);
    check_f16(c);
    check_bf16(c);
    check_bodies(c);
    check_math(c, &f32_math);
    check_math(c, &f64_math);
    for (int sample = 0; sample < SAMPLES; sample++) {
        expect_sum(c, BITDROP_F16, f16_LANES, f16_sum_memory);
        expect_sum(c, BITDROP_BF16, bf16_LANES, bf16_sum_memory);
    }
    check_noise_functions(c);
    check_products(c);
#ifdef __x86_64__
    check_rounding_modes(c, &f16_functions);
    check_rounding_modes(c, &bf16_functions);
#endif
}

static int steps;

static void count_step(struct work *work)
{
    (void)work;
    steps++;
}

/* Of rounds 2 to rounds - 2, counted from 0, those whose number STEP_ROUNDS divides have a step. */
static void expect_steps(struct check *c, int rounds)
{
    const int wanted = (rounds - 2) / STEP_ROUNDS - 1 / STEP_ROUNDS;

    if (steps != wanted)
        check_fail(c, "%d rounds of Philox have %d steps, not %d", rounds, steps, wanted);
}

static void run_philox(struct check *c, const char *name, const uint32_t counter[4],
                       const uint32_t key[2], unsigned rounds)
{
    struct bitdrop_stream s =
        bitdrop_stream_make((uint64_t)key[1] << 32 | key[0], counter[3], rounds, 0.5);
    const struct philox_plane plane = philox_plane(&s, counter[1], counter[2]);
    const struct philox_plane *planes[CHAINS];
    struct philox_lanes lanes[CHAINS];
    vec out[CHAINS][4];

    for (uint32_t i = 0; i < CHAINS; i++) {
        uint32_t counter0[LANES];

        for (uint32_t j = 0; j < LANES; j++)
            counter0[j] = counter[0] + i * LANES + j;
        lanes[i] = philox_lanes(&s, vec_load(counter0));
        planes[i] = &plane;
    }
    steps = 0;
    philox_before_last(&s, &s.rounds, lanes, planes, out, count_step, NULL);
    expect_steps(c, (int)rounds);
    for (int i = 0; i < CHAINS; i++)
        philox_round(s.key[rounds - 1], out[i]);
    for (uint32_t i = 0; i < CHAINS * LANES; i++) {
        uint32_t wanted[4], got[LANES];
        const uint32_t one[4] = {counter[0] + i, counter[1], counter[2], counter[3]};

        oracle_philox(one, key, (int)rounds, wanted);
        for (int w = 0; w < 4; w++) {
            vec_store(got, out[i / LANES][w]);
            expect_word(c, name, (int)i, got[i % LANES], wanted[w]);
        }
    }
    c->cases++;
}

void CHECK_PHILOX(struct check *c)
{
    static const char *const vectors[] = {
#include "philox.inc"
        NULL};

    for (const char *const *line = vectors; *line != NULL; line++) {
        uint32_t counter[4], key[2], wanted[4], got[4];
        unsigned rounds;

        if (sscanf(*line,
                   "%u %" SCNx32 " %" SCNx32 " %" SCNx32 " %" SCNx32 " %" SCNx32 " %" SCNx32
                   " %" SCNx32 " %" SCNx32 " %" SCNx32 " %" SCNx32,
                   &rounds, &counter[0], &counter[1], &counter[2], &counter[3], &key[0], &key[1],
                   &wanted[0], &wanted[1], &wanted[2], &wanted[3]) != 11)
            check_fail(c, "cannot read: %s", *line);
        oracle_philox(counter, key, (int)rounds, got);
        for (int w = 0; w < 4; w++)
            expect_word(c, "the oracle's Philox", w, got[w], wanted[w]);
        run_philox(c, "published Philox", counter, key, rounds);
    }
    for (int sample = 0; sample < SAMPLES; sample++) {
        const uint32_t counter[4] = {random_word(c), random_word(c), random_word(c),
                                     random_word(c)};
        const uint32_t key[2] = {random_word(c), random_word(c)};

        run_philox(c, "random Philox", counter, key, sample % 2 ? 7 : 10);
    }
}

#include "template/target_end.h"
