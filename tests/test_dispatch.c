/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice of an ISA: made-up CPUs, the environment, first calls from many threads. Criterion
 * runs each test in a process of its own, so each makes its own first call.
 */
#define _POSIX_C_SOURCE 200809L
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "cpu/cpu.h"
#include "dispatch.h"

#define SET(isa) (1U << BITDROP_ISA_##isa)

/* Leaf 1 ECX: OSXSAVE, and FMA with AVX and F16C. Leaf 7 EBX: AVX2 with BMI2, and AVX-512. */
#define OSXSAVE (1U << 27)
#define FMA_AVX_F16C (1U << 12 | 1U << 28 | 1U << 29)
#define AVX2_BMI2 (1U << 5 | 1U << 8)
#define F (1U << 16)
#define BF16 (1U << 5) /* of leaf 7, subleaf 1, EAX */
#define DQ_BW_VL (1U << 17 | 1U << 30 | 1U << 31)
#define FMA (1U << BITDROP_FMA) /* in the set: what scalar needs to call SLEEF */

static const struct {
    const char *name;
    struct bitdrop_x86_words words;
    bitdrop_isa_set wanted;
} cpus[] = {
    {"all zero", {0, 0, 0, 0, 0}, SET(SCALAR)},
    {"Nehalem", {11, 0x0098E3BD, 0, 0, 0}, SET(SCALAR)},
    {"Sandy Bridge", {13, OSXSAVE | 1U << 28, 0, 7, 0}, SET(SCALAR)},
    {"Haswell", {13, OSXSAVE | FMA_AVX_F16C, AVX2_BMI2, 7, 0}, SET(SCALAR) | FMA | SET(AVX2)},
    {"Haswell, OS without YMM state", {13, OSXSAVE | FMA_AVX_F16C, AVX2_BMI2, 3, 0}, SET(SCALAR)},
    {"Haswell, F16C off", {13, OSXSAVE | 1U << 12 | 1U << 28, AVX2_BMI2, 7, 0}, SET(SCALAR) | FMA},
    {"Haswell, FMA off", {13, OSXSAVE | 1U << 29 | 1U << 28, AVX2_BMI2, 7, 0}, SET(SCALAR)},
    {"Haswell, BMI2 off", {13, OSXSAVE | FMA_AVX_F16C, 1U << 5, 7, 0}, SET(SCALAR) | FMA},
    {"Piledriver, without AVX2", {13, OSXSAVE | FMA_AVX_F16C, 0, 7, 0}, SET(SCALAR) | FMA},
    {"Knights Landing, F without BW",
     {13, OSXSAVE | FMA_AVX_F16C, AVX2_BMI2 | F, 0xE7, 0},
     SET(SCALAR) | FMA | SET(AVX2)},
    {"Skylake-X",
     {22, OSXSAVE | FMA_AVX_F16C, AVX2_BMI2 | F | DQ_BW_VL, 0xFF, 0},
     SET(SCALAR) | FMA | SET(AVX2) | SET(AVX512)},
    {"Zen 4",
     {16, OSXSAVE | FMA_AVX_F16C, 0xF1BF97A9, 0x2E7, 0},
     SET(SCALAR) | FMA | SET(AVX2) | SET(AVX512)},
    {"Zen 4 with its BF16",
     {16, OSXSAVE | FMA_AVX_F16C, 0xF1BF97A9, 0x2E7, BF16},
     SET(SCALAR) | FMA | SET(AVX2) | SET(AVX512) | 1U << BITDROP_AVX512_BF16},
    {"AVX512_BF16 but not BW",
     {16, OSXSAVE | FMA_AVX_F16C, AVX2_BMI2 | F, 0xE7, BF16},
     SET(SCALAR) | FMA | SET(AVX2)},
    {"Skylake-X, XCR0 without ZMM state",
     {22, OSXSAVE | FMA_AVX_F16C, AVX2_BMI2 | F | DQ_BW_VL, 0x07, 0},
     SET(SCALAR) | FMA | SET(AVX2)},
    {"Skylake-X, XCR0 without opmask",
     {22, OSXSAVE | FMA_AVX_F16C, AVX2_BMI2 | F | DQ_BW_VL, 0xC7, 0},
     SET(SCALAR) | FMA | SET(AVX2)},
    {"max leaf below 7",
     {6, OSXSAVE | FMA_AVX_F16C, AVX2_BMI2 | F | DQ_BW_VL, 0xE7, 0},
     SET(SCALAR) | FMA},
    {"hypervisor without OSXSAVE",
     {22, FMA_AVX_F16C, AVX2_BMI2 | F | DQ_BW_VL, 0xE7, 0},
     SET(SCALAR)},
};

Test(dispatch, made_up_x86_cpus)
{
    for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++)
        cr_expect_eq(bitdrop_x86_isas(&cpus[i].words), cpus[i].wanted, "%s: %#x", cpus[i].name,
                     bitdrop_x86_isas(&cpus[i].words));
}

/* Each bit that a tier asks for is needed. */
Test(dispatch, each_bit_counts)
{
    const struct bitdrop_x86_words zen4 = {16, OSXSAVE | FMA_AVX_F16C, AVX2_BMI2 | F | DQ_BW_VL,
                                           0xE6, BF16};
    const bitdrop_isa_set all = bitdrop_x86_isas(&zen4);
    enum { F16C_BIT = 29 }; /* not for FMA */

    for (int bit = 0; bit < 32; bit++) {
        struct bitdrop_x86_words w = zen4;

        w.leaf1_ecx &= ~(1U << bit);
        if (w.leaf1_ecx != zen4.leaf1_ecx)
            cr_expect_eq(bitdrop_x86_isas(&w), SET(SCALAR) | (bit == F16C_BIT ? FMA : 0),
                         "leaf 1, bit %d", bit);
        w = zen4;
        w.leaf7_ebx &= ~(1U << bit);
        if (w.leaf7_ebx != zen4.leaf7_ebx)
            cr_expect_neq(bitdrop_x86_isas(&w), all, "leaf 7, bit %d", bit);
        w = zen4;
        w.leaf7_1_eax &= ~(1U << bit);
        if (w.leaf7_1_eax != zen4.leaf7_1_eax)
            cr_expect_neq(bitdrop_x86_isas(&w), all, "leaf 7.1, bit %d", bit);
        w = zen4;
        w.xcr0 &= ~(UINT64_C(1) << bit);
        if (w.xcr0 != zen4.xcr0)
            cr_expect_neq(bitdrop_x86_isas(&w), all, "XCR0, bit %d", bit);
    }
}

#define INTEL 0x756E6547 /* "Genu" */
#define AMD 0x68747541   /* "Auth" */

/* CPUID leaf 1 EAX of CPUs that exist. */
static const struct {
    uint32_t vendor, leaf1_eax;
    const char *wanted;
} models[] = {
    {INTEL, 0x000806F8, "Sapphire Rapids"},
    {INTEL, 0x000C06F2, "Emerald Rapids"},
    {INTEL, 0x000A06D1, "Granite Rapids"},
    {INTEL, 0x00050657, "other Intel"}, /* Skylake-X */
    {INTEL, 0x00000F4A, "other Intel"}, /* family 15 */
    {AMD, 0x00A10F11, "Zen 4"},
    {AMD, 0x00A60F12, "Zen 4"},
    {AMD, 0x00AA0F02, "Zen 4"},
    {AMD, 0x00A00F11, "other x86"}, /* Zen 3 */
    {AMD, 0x00B00F21, "Zen 5"},
    {AMD, 0x00B40F40, "Zen 5"},
    {AMD, 0x00000000, "other x86"},
    {0, 0x00B00F21, "other x86"},
    {AMD, 0x000806F8, "other x86"},
};

Test(dispatch, made_up_models)
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        cr_expect_str_eq(bitdrop_x86_tuning(models[i].vendor, models[i].leaf1_eax)->name,
                         models[i].wanted, "%#x", models[i].leaf1_eax);
}

Test(dispatch, what_is_prefetched)
{
    const struct bitdrop_tuning t = {"made up", 0, 4096, true, true, 100, 200, false};
    const struct {
        size_t bytes;
        bool streaming, inputs, output;
    } calls[] = {
        {99, false, false, false},     {100, false, true, false}, {199, false, true, false},
        {200, false, true, true},      {1, true, true, false},    {1000, true, true, false},
        {SIZE_MAX, false, true, true},
    };

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const struct bitdrop_prefetch got =
            bitdrop_prefetch_of(&t, calls[i].streaming, calls[i].bytes);

        cr_expect_eq(got.ahead, 4096);
        cr_expect_eq(got.inputs, calls[i].inputs, "call %zu", i);
        cr_expect_eq(got.output, calls[i].output, "call %zu", i);
        cr_expect_eq(got.pages_in_turn, calls[i].streaming, "call %zu", i);
    }
    cr_expect(!bitdrop_prefetch_of(&bitdrop_tuning_none, true, 1 << 30).inputs);
    cr_expect(!bitdrop_prefetch_of(&bitdrop_tuning_none, true, 1 << 30).pages_in_turn);
    cr_expect(!bitdrop_prefetch_of(&bitdrop_tuning_none, false, 1 << 30).output);
}

Test(dispatch, made_up_aarch64_cpus)
{
    cr_expect_eq(bitdrop_aarch64_isas(0), SET(SCALAR));
    cr_expect_eq(bitdrop_aarch64_isas(1 /* FP */), SET(SCALAR));
    cr_expect_eq(bitdrop_aarch64_isas(3 /* FP and ASIMD */), SET(SCALAR) | SET(NEON));
}

Test(dispatch, made_up_armv7_cpus)
{
    cr_expect_eq(bitdrop_armv7_isas(0), SET(SCALAR));
    cr_expect_eq(bitdrop_armv7_isas(0x60D7), SET(SCALAR), "Tegra 2: VFPv3 without NEON");
    cr_expect_eq(bitdrop_armv7_isas(0x7B0D7), SET(SCALAR) | SET(NEON), "Cortex-A15");
    cr_expect_eq(bitdrop_armv7_isas(~(1UL << 12)), SET(SCALAR), "every bit but NEON");
}

Test(dispatch, arm_where_the_os_says_just_that)
{
    cr_expect_eq(bitdrop_arm_isas(0), SET(SCALAR));
    cr_expect_eq(bitdrop_arm_isas(1), SET(SCALAR) | SET(NEON));
    cr_expect_eq(bitdrop_arm_isas(2), SET(SCALAR) | SET(NEON), "a BOOL may be any non-zero value");
}

Test(dispatch, made_up_caches)
{
    /* Zen 4's L3: type 3, level 3; lines of 64 bytes, 16 ways, 32,768 sets */
    cr_expect_eq(bitdrop_x86_cache_bytes(0x163, 15U << 22 | 63, 32767), UINT64_C(32) << 20);
    /* an L1 of 48 KiB: 12 ways of 64 sets */
    cr_expect_eq(bitdrop_x86_cache_bytes(0x121, 11U << 22 | 63, 63), UINT64_C(48) << 10);
    cr_expect_eq(bitdrop_x86_cache_bytes(0, 15U << 22 | 63, 32767), 0, "type 0 ends the list");
    cr_expect_eq(bitdrop_x86_cache_bytes(3, 7U << 22 | 3U << 12 | 127, 1023), 4 << 20,
                 "partitions");
}

Test(dispatch, streaming_threshold)
{
    cr_expect_eq(bitdrop_streaming_bytes_of(0), (size_t)32 << 20, "not known");
    cr_expect_eq(bitdrop_streaming_bytes_of(1 << 20), (size_t)8 << 20);
    cr_expect_eq(bitdrop_streaming_bytes_of(33 << 20), (size_t)33 << 20);
    cr_expect_eq(bitdrop_streaming_bytes_of(UINT64_C(1) << 40), (size_t)64 << 20);
}

#ifdef __x86_64__
/* What the reader found, against what the compiler's finds. */
Test(dispatch, extensions_of_this_cpu)
{
    const bool bf16 = bitdrop_cpu_isas() >> BITDROP_AVX512_BF16 & 1;
    const bool intel = strstr("Sapphire Rapids Emerald Rapids Granite Rapids other Intel",
                              bitdrop_cpu_tuning()->name) != NULL;

    cr_expect_eq(intel, __builtin_cpu_is("intel") != 0);
    cr_expect_eq(bf16,
                 bitdrop_isa_supported(BITDROP_ISA_AVX512) && __builtin_cpu_supports("avx512bf16"));
    cr_expect_eq(bitdrop_cpu_isas() >> BITDROP_ISA_AVX512 & 1,
                 (unsigned)bitdrop_isa_supported(BITDROP_ISA_AVX512));
}
#endif

Test(dispatch, names)
{
    cr_expect_str_eq(bitdrop_isa_name(BITDROP_ISA_AUTO), "auto");
    cr_expect_str_eq(bitdrop_isa_name(BITDROP_ISA_SCALAR), "scalar");
    cr_expect_str_eq(bitdrop_isa_name(BITDROP_ISA_AVX2), "avx2");
    cr_expect_str_eq(bitdrop_isa_name(BITDROP_ISA_AVX512), "avx512");
    cr_expect_str_eq(bitdrop_isa_name(BITDROP_ISA_NEON), "neon");
    cr_expect_str_eq(bitdrop_isa_name((bitdrop_isa)5), "unknown");
    cr_expect_str_eq(bitdrop_isa_name((bitdrop_isa)-1), "unknown");
    cr_expect(!bitdrop_isa_supported((bitdrop_isa)5));
    cr_expect(!bitdrop_isa_supported((bitdrop_isa)-1));
    cr_expect(bitdrop_isa_supported(BITDROP_ISA_SCALAR));
    cr_expect(bitdrop_isa_supported(BITDROP_ISA_AUTO));
}

static bitdrop_status mask_by(bitdrop_isa isa)
{
    const bitdrop_config cfg = {.p = 0.5, .isa = (uint8_t)isa};
    uint8_t mask;

    return bitdrop_mask(&cfg, 8, &mask);
}

#if defined(__x86_64__)
/* The compiler's own reader of this CPU finds the same. */
Test(dispatch, this_cpu)
{
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("bmi2");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");

    cr_expect_eq(bitdrop_isa_supported(BITDROP_ISA_AVX2), avx2);
    cr_expect_eq(bitdrop_isa_supported(BITDROP_ISA_AVX512), avx512);
    cr_expect(!bitdrop_isa_supported(BITDROP_ISA_NEON));
}
#else
Test(dispatch, this_cpu) { cr_skip_test("no second reader of this CPU is known"); }
#endif

/* A first call that forces an ISA reads the variable, too. */
Test(dispatch, environment_at_forced_call)
{
    setenv("BITDROP_ISA", "scalar", 1);
    cr_expect_eq(mask_by(BITDROP_ISA_SCALAR), BITDROP_OK);
    setenv("BITDROP_ISA", "sse2", 1);
    cr_expect_eq(bitdrop_isa_default(), BITDROP_ISA_SCALAR);
}

static void expect_environment(const char *value, bitdrop_isa wanted)
{
    setenv("BITDROP_ISA", value, 1);
    cr_expect_eq(bitdrop_isa_default(), wanted, "BITDROP_ISA=%s: %s", value,
                 bitdrop_isa_name(bitdrop_isa_default()));
    cr_expect_eq(mask_by(BITDROP_ISA_AUTO),
                 wanted == BITDROP_ISA_AUTO ? BITDROP_ERR_ISA : BITDROP_OK);
    cr_expect_eq(mask_by(BITDROP_ISA_SCALAR), BITDROP_OK,
                 "a forced ISA does not heed the variable");
    setenv("BITDROP_ISA", "scalar", 1);
    cr_expect_eq(bitdrop_isa_default(), wanted, "the variable is read once");
}

static bitdrop_isa best(void)
{
    static const bitdrop_isa order[] = {BITDROP_ISA_AVX512, BITDROP_ISA_AVX2, BITDROP_ISA_NEON};

    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (bitdrop_isa_supported(order[i]))
            return order[i];
    return BITDROP_ISA_SCALAR;
}

Test(dispatch, environment_unset)
{
    unsetenv("BITDROP_ISA");
    cr_expect_eq(bitdrop_isa_default(), best());
    cr_expect_eq(mask_by(BITDROP_ISA_AUTO), BITDROP_OK);
}

static bitdrop_isa isa_for(unsigned isa, size_t rows, size_t cols)
{
    return bitdrop_kernels_for(isa, rows, cols)->isa;
}

/* Small calls keep off AVX-512 where the tuning says so, unless somebody has asked for it. */
Test(dispatch, small_calls)
{
    const struct bitdrop_tuning tuning = {.small_elements = 1024};
    const bitdrop_isa small = best() == BITDROP_ISA_AVX512 ? BITDROP_ISA_AVX2 : best();

    unsetenv("BITDROP_ISA");
    bitdrop_set_tuning(&tuning);
    cr_expect_eq(isa_for(BITDROP_ISA_AUTO, 1, 1024), small);
    cr_expect_eq(isa_for(BITDROP_ISA_AUTO, 32, 32), small);
    cr_expect_eq(isa_for(BITDROP_ISA_AUTO, 0, SIZE_MAX), small);
    cr_expect_eq(isa_for(BITDROP_ISA_AUTO, SIZE_MAX, 0), small);
    cr_expect_eq(isa_for(BITDROP_ISA_AUTO, 1, 1025), best());
    cr_expect_eq(isa_for(BITDROP_ISA_AUTO, 33, 32), best());
    cr_expect_eq(isa_for(BITDROP_ISA_AUTO, SIZE_MAX, 2), best());
    cr_expect_eq(isa_for(best(), 1, 8), best(), "the config names it");
    bitdrop_set_tuning(&bitdrop_tuning_none);
    cr_expect_eq(isa_for(BITDROP_ISA_AUTO, 1, 0), best());
    cr_expect_eq(isa_for(BITDROP_ISA_AUTO, 1, 1), best());
}

Test(dispatch, small_calls_by_environment)
{
    setenv("BITDROP_ISA", bitdrop_isa_name(best()), 1);
    cr_expect_eq(isa_for(BITDROP_ISA_AUTO, 1, 8), best());
}

Test(dispatch, small_calls_cut_a_large_one)
{
    enum { N = 4096, PIECE = 1024 };
    bitdrop_config cfg = {.p = 0.3, .seed = 5, .offset = 100};
    uint8_t whole[N / 8], pieces[N / 8];

    unsetenv("BITDROP_ISA");
    cr_assert_eq(bitdrop_mask(&cfg, N, whole), BITDROP_OK);
    for (int i = 0; i < N; i += PIECE, cfg.offset += PIECE)
        cr_assert_eq(bitdrop_mask(&cfg, PIECE, pieces + i / 8), BITDROP_OK);
    cr_expect_arr_eq(pieces, whole, sizeof whole);
}

/* Attention in bf16 by pairs, which the tuning of this CPU may leave out. */
Test(dispatch, attention_by_pairs)
{
    const struct bitdrop_tuning tuning = {.bf16_pairs = true};
    struct check c = {.isa = BITDROP_ISA_AVX512, .thin = 1};

    if (bitdrop_kernels_for(BITDROP_ISA_AVX512, SIZE_MAX, SIZE_MAX) == NULL ||
        bitdrop_kernels_for(BITDROP_ISA_AVX512, SIZE_MAX, SIZE_MAX)->attention_pairs == NULL)
        cr_skip_test("this machine has no AVX512_BF16");
    bitdrop_set_tuning(&tuning);
    c.random = c.seed = (uint64_t)time(NULL);
    check_attention(&c);
    cr_assert_gt(c.cases, 0);
    cr_assert_eq(c.failures, 0, "%zu failures, see above", c.failures);
}

Test(dispatch, environment_empty) { expect_environment("", best()); }
Test(dispatch, environment_auto) { expect_environment("auto", best()); }
Test(dispatch, environment_scalar) { expect_environment("scalar", BITDROP_ISA_SCALAR); }
Test(dispatch, environment_best) { expect_environment(bitdrop_isa_name(best()), best()); }
Test(dispatch, environment_unknown) { expect_environment("sse2", BITDROP_ISA_AUTO); }
Test(dispatch, environment_case) { expect_environment("SCALAR", BITDROP_ISA_AUTO); }
Test(dispatch, environment_longer) { expect_environment("scalar ", BITDROP_ISA_AUTO); }

Test(dispatch, environment_of_another_machine)
{
    const bitdrop_isa foreign =
        bitdrop_isa_supported(BITDROP_ISA_NEON) ? BITDROP_ISA_AVX2 : BITDROP_ISA_NEON;

    expect_environment(bitdrop_isa_name(foreign), BITDROP_ISA_AUTO);
    cr_expect_eq(mask_by(foreign), BITDROP_ERR_ISA);
}

#ifdef __x86_64__
const size_t expected_tests = 26;
#else
const size_t expected_tests = 25;
#endif
