/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests the choice of an ISA and of a tuning, for made-up CPUs and for the environment of the
 * process. Criterion runs each test in a process of its own, so each test makes a first call.
 */
#define _POSIX_C_SOURCE 200809L
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attention_job.h"
#include "check.h"
#include "cpu/cpu.h"
#include "dispatch.h"
#include "isas.h"
#include "run_call.h"

#define SET(isa) (1U << BITDROP_ISA_##isa)

/* Leaf 1 ECX: OSXSAVE, and FMA with AVX and F16C. Leaf 7 EBX: AVX2 with BMI2, and AVX-512. */
#define OSXSAVE (1U << 27)
#define FMA_AVX_F16C (1U << 12 | 1U << 28 | 1U << 29)
#define AVX2_BMI2 (1U << 5 | 1U << 8)
#define F (1U << 16)
#define BF16 (1U << 5) /* of leaf 7, subleaf 1, EAX */
#define DQ_BW_VL (1U << 17 | 1U << 30 | 1U << 31)
#define FMA (1U << BITDROP_FMA) /* in a set of ISAs: scalar needs it to call SLEEF */

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

/* Without any one of the bits that an ISA needs, the set is smaller. */
Test(dispatch, each_bit_is_needed)
{
    const struct bitdrop_x86_words zen4 = {16, OSXSAVE | FMA_AVX_F16C, AVX2_BMI2 | F | DQ_BW_VL,
                                           0xE6, BF16};
    const bitdrop_isa_set all = bitdrop_x86_isas(&zen4);
    enum { F16C_BIT = 29 }; /* FMA does not need it */

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

/*
 * A made-up CPU answers CPUID from a table. For leaves that are not in the table it returns bits
 * other than 0, as Intel's CPUs do. If it has no OSXSAVE, XGETBV fails the test.
 */
struct answer {
    uint32_t leaf, subleaf, registers[4]; /* EAX, EBX, ECX, EDX */
};

static const struct answer *answers;
static size_t answers_count;
static bool has_osxsave;

static void made_up_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4])
{
    for (size_t i = 0; i < answers_count; i++)
        if (answers[i].leaf == leaf && answers[i].subleaf == subleaf) {
            memcpy(registers, answers[i].registers, sizeof answers[i].registers);
            return;
        }
    memset(registers, 0xEE, 4 * sizeof *registers);
}

static uint64_t made_up_xgetbv0(void)
{
    cr_expect(has_osxsave, "XGETBV is an illegal instruction on this CPU");
    return 0xE7;
}

static const struct bitdrop_x86_reader made_up = {made_up_cpuid, made_up_xgetbv0};

#define MAKE_UP(table, osxsave)                                                                    \
    (answers = table, answers_count = sizeof(table) / sizeof *(table), has_osxsave = (osxsave))

static void expect_words(struct bitdrop_x86_words wanted)
{
    const struct bitdrop_x86_words got = bitdrop_x86_read(&made_up);

    cr_expect_eq(got.max_leaf, wanted.max_leaf);
    cr_expect_eq(got.leaf1_ecx, wanted.leaf1_ecx);
    cr_expect_eq(got.leaf7_ebx, wanted.leaf7_ebx);
    cr_expect_eq(got.xcr0, wanted.xcr0);
    cr_expect_eq(got.leaf7_1_eax, wanted.leaf7_1_eax);
}

Test(dispatch, reading_cpuid)
{
    static const struct answer zen4[] = {{0, 0, {16, 1, 2, 3}},
                                         {1, 0, {4, 5, OSXSAVE | FMA_AVX_F16C, 6}},
                                         {7, 0, {1, 0xF1BF97A9, 7, 8}},
                                         {7, 1, {BF16, 9, 10, 11}}};
    static const struct answer skylake[] = {
        {0, 0, {22, 0, 0, 0}}, {1, 0, {0, 0, OSXSAVE, 0}}, {7, 0, {0, AVX2_BMI2, 0, 0}}};
    static const struct answer without_xsave[] = {
        {0, 0, {7, 0, 0, 0}}, {1, 0, {0, 0, FMA_AVX_F16C, 0}}, {7, 0, {0, AVX2_BMI2, 0, 0}}};
    static const struct answer penryn[] = {{0, 0, {6, 0, 0, 0}}, {1, 0, {0, 0, 0x0408E3FD, 0}}};
    static const struct answer no_leaf_1[] = {{0, 0, {0, 0, 0, 0}}};

    MAKE_UP(zen4, true);
    expect_words((struct bitdrop_x86_words){16, OSXSAVE | FMA_AVX_F16C, 0xF1BF97A9, 0xE7, BF16});
    MAKE_UP(skylake, true); /* it has no subleaf 1 */
    expect_words((struct bitdrop_x86_words){22, OSXSAVE, AVX2_BMI2, 0xE7, 0});
    MAKE_UP(without_xsave, false);
    expect_words((struct bitdrop_x86_words){7, FMA_AVX_F16C, AVX2_BMI2, 0, 0});
    MAKE_UP(penryn, false);
    expect_words((struct bitdrop_x86_words){6, 0x0408E3FD, 0, 0, 0});
    MAKE_UP(no_leaf_1, false);
    expect_words((struct bitdrop_x86_words){0, 0, 0, 0, 0});
}

/* The size of the last cache counts, not that of the largest, nor the sum of all. */
Test(dispatch, last_level_cache)
{
#define CACHE(type, ways, sets)                                                                    \
    {                                                                                              \
        type, (ways - 1U) << 22 | 63, sets - 1U, 0                                                 \
    } /* lines of 64 bytes */
#define CACHES(leaf)                                                                               \
    {leaf, 0, CACHE(0x21, 8, 64)}, {leaf, 1, CACHE(0x22, 8, 64)},                                  \
        {leaf, 2, CACHE(0x43, 16, 2048)}, {leaf, 3, CACHE(0x63, 12, 2048)},                        \
    {                                                                                              \
        leaf, 4, { 0, 0, 0, 0 }                                                                    \
    }
    static const struct answer intel[] = {
        {0, 0, {22, 0, 0, 0}}, {0x80000000, 0, {0x80000008, 0, 0, 0}}, CACHES(4)};
    static const struct answer amd[] = {{0, 0, {16, 0, 0, 0}},
                                        {4, 0, {0, 0, 0, 0}},
                                        {0x80000000, 0, {0x80000028, 0, 0, 0}},
                                        CACHES(0x8000001D)};
    static const struct answer old_intel[] = {{0, 0, {3, 0, 0, 0}},
                                              {0x80000000, 0, {0x80000004, 0, 0, 0}}};
    static const struct answer old_amd[] = {
        {0, 0, {5, 0, 0, 0}}, {4, 0, {0, 0, 0, 0}}, {0x80000000, 0, {0x8000001C, 0, 0, 0}}};
    static const struct answer both[] = {{0, 0, {16, 0, 0, 0}},
                                         {0x80000000, 0, {0x80000028, 0, 0, 0}},
                                         CACHES(4),
                                         {0x8000001D, 0, CACHE(0x63, 16, 32768)},
                                         {0x8000001D, 1, {0, 0, 0, 0}}};
    static const struct answer endless[] = {{0, 0, {22, 0, 0, 0}},
                                            {0x80000000, 0, {0x80000008, 0, 0, 0}}};
    const uint64_t last = 12 * 2048 * 64; /* the cache in front of it has 2 MiB */

    MAKE_UP(intel, false);
    cr_expect_eq(bitdrop_x86_last_level_cache(&made_up), last);
    MAKE_UP(amd, false);
    cr_expect_eq(bitdrop_x86_last_level_cache(&made_up), last);
    MAKE_UP(old_intel, false);
    cr_expect_eq(bitdrop_x86_last_level_cache(&made_up), 0, "it has no leaf 4");
    MAKE_UP(old_amd, false);
    cr_expect_eq(bitdrop_x86_last_level_cache(&made_up), 0, "it has no leaf 0x8000001D");
    MAKE_UP(both, false);
    cr_expect_eq(bitdrop_x86_last_level_cache(&made_up), last, "leaf 4 is enough");
    MAKE_UP(endless, false);
    cr_expect_neq(bitdrop_x86_last_level_cache(&made_up), 0, "reading an endless list must end");
}

#define INTEL 0x756E6547 /* "Genu" */
#define AMD 0x68747541   /* "Auth" */

/* CPUID leaf 1 EAX of CPUs that exist, and of models just before and after the first and the last
 * model of a line of src/cpu/tuning.c. */
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
    {INTEL, 0x000806E8, "other Intel"},    /* model 0x8E, Kaby Lake */
    {INTEL, 0x00090600, "other Intel"},    /* 0x90 */
    {INTEL, 0x000C06E0, "other Intel"},    /* 0xCE */
    {INTEL, 0x000D0600, "other Intel"},    /* 0xD0 */
    {INTEL, 0x000A06C0, "other Intel"},    /* 0xAC */
    {INTEL, 0x000A06E1, "Granite Rapids"}, /* 0xAE */
    {INTEL, 0x000A06F3, "other Intel"},    /* 0xAF, Sierra Forest */
    {INTEL, 0x00000FF4, "other Intel"},    /* models of family 5 and below have 4 bits */
    {INTEL, 0x008F05F0, "other Intel"},    /* family 5 */
    {AMD, 0x00A00FF0, "other x86"},        /* family 0x19, model 0x0F */
    {AMD, 0x00A10F00, "Zen 4"},            /* 0x10 */
    {AMD, 0x00A10FF0, "Zen 4"},            /* 0x1F */
    {AMD, 0x00A20F12, "other x86"},        /* 0x20, Zen 3 */
    {AMD, 0x00A50FF0, "other x86"},        /* 0x5F, Zen 3 */
    {AMD, 0x00A60F00, "Zen 4"},            /* 0x60 */
    {AMD, 0x00AA0FF0, "Zen 4"},            /* 0xAF */
    {AMD, 0x00AB0F00, "other x86"},        /* 0xB0 */
    {AMD, 0x00B00F00, "Zen 5"},            /* family 0x1A, model 0x00 */
    {AMD, 0x00B70FF0, "Zen 5"},            /* 0x7F */
    {AMD, 0x00B80F00, "other x86"},        /* 0x80 */
    {AMD, 0x00C00F00, "other x86"},        /* family 0x1B */
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

/* The extended model counts in families 6 and 15, and the extended family in family 15. */
Test(dispatch, family_and_model)
{
    cr_expect_eq(bitdrop_x86_family(0x00AC06F2), 6);
    cr_expect_eq(bitdrop_x86_model(0x000C06F2), 0xCF);
    cr_expect_eq(bitdrop_x86_family(0x00A10F11), 0x19);
    cr_expect_eq(bitdrop_x86_model(0x00A10F11), 0x11);
    cr_expect_eq(bitdrop_x86_family(0x00A10511), 5);
    cr_expect_eq(bitdrop_x86_model(0x00A10511), 1);
}

/* Only bf16_pairs changes results: AMD's CPUs multiply pairs, Intel's do not. */
Test(dispatch, pairs_by_model)
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        cr_expect_eq(bitdrop_x86_tuning(models[i].vendor, models[i].leaf1_eax)->bf16_pairs,
                     models[i].vendor != INTEL, "%#x", models[i].leaf1_eax);
    cr_expect(!bitdrop_tuning_none.bf16_pairs);
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

Test(dispatch, arm_with_one_flag)
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
/* Compares what the library reads of this CPU with what the compiler's functions read. */
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
/* Compares the ISAs of this CPU with what the compiler's functions read. */
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
Test(dispatch, this_cpu) { cr_skip_test("the compiler has no function that reads this CPU"); }
#endif

/* A first call that forces an ISA reads BITDROP_ISA too. */
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
                 "a forced ISA must not depend on the variable");
    setenv("BITDROP_ISA", "scalar", 1);
    cr_expect_eq(bitdrop_isa_default(), wanted, "the variable must be read only once");
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

#if defined(__x86_64__) && BITDROP_HAVE_AVX512_BF16
/* Which table made-up CPUs use. All tables are compiled, on whatever CPU this runs. */
Test(dispatch, made_up_sets_of_isas)
{
    const bitdrop_isa_set scalar = SET(SCALAR) | FMA, avx2 = scalar | SET(AVX2),
                          avx512 = avx2 | SET(AVX512), all = avx512 | 1U << BITDROP_AVX512_BF16;
    const struct bitdrop_tuning usual = {.small_elements = 0}, tuned = {.small_elements = 1024};
    enum { AUTO = BITDROP_ISA_AUTO };
    const struct {
        bitdrop_isa_set isas;
        unsigned isa;
        const struct bitdrop_tuning *tuning;
        size_t rows, cols;
        const struct bitdrop_kernels *wanted;
    } calls[] = {
        {SET(SCALAR), AUTO, &usual, 1, 1, &bitdrop_kernels_scalar},
        {scalar, AUTO, &usual, 1, 1, &bitdrop_kernels_scalar},
        {avx2, AUTO, &usual, 1, 1, &bitdrop_kernels_avx2},
        {avx512, AUTO, &usual, 1, 1, &bitdrop_kernels_avx512},
        {all, AUTO, &usual, 1, 0, &bitdrop_kernels_avx512_bf16},
        {all, AUTO, &usual, 1, 1, &bitdrop_kernels_avx512_bf16},
        {avx512, BITDROP_ISA_AVX512, &usual, 1, 1, &bitdrop_kernels_avx512},
        {all, BITDROP_ISA_AVX512, &usual, 1, 1, &bitdrop_kernels_avx512_bf16},
        {all, BITDROP_ISA_AVX2, &usual, 1, 1, &bitdrop_kernels_avx2},
        {all, BITDROP_ISA_SCALAR, &usual, 1, 1, &bitdrop_kernels_scalar},
        {avx2, BITDROP_ISA_AVX512, &usual, 1, 1, NULL},
        {scalar, BITDROP_ISA_AVX2, &usual, 1, 1, NULL},
        {all, BITDROP_ISA_NEON, &usual, 1, 1, NULL},
        {all, BITDROP_ISA_COUNT, &usual, 1, 1, NULL},
        /* small calls */
        {all, AUTO, &tuned, 1, 1024, &bitdrop_kernels_avx2},
        {avx512, AUTO, &tuned, 1, 1024, &bitdrop_kernels_avx2},
        {all, AUTO, &tuned, 1, 1025, &bitdrop_kernels_avx512_bf16},
        {avx512, AUTO, &tuned, 1, 1025, &bitdrop_kernels_avx512},
        {all, AUTO, &tuned, 32, 32, &bitdrop_kernels_avx2},
        {all, AUTO, &tuned, 32, 33, &bitdrop_kernels_avx512_bf16},
        {all, AUTO, &tuned, 33, 32, &bitdrop_kernels_avx512_bf16},
        {all, AUTO, &tuned, 1024, 1, &bitdrop_kernels_avx2},
        {all, AUTO, &tuned, 1025, 1, &bitdrop_kernels_avx512_bf16},
        {all, AUTO, &tuned, 0, SIZE_MAX, &bitdrop_kernels_avx2},
        {all, AUTO, &tuned, SIZE_MAX, 0, &bitdrop_kernels_avx2},
        {all, AUTO, &tuned, SIZE_MAX, 2, &bitdrop_kernels_avx512_bf16},
        {all, AUTO, &tuned, 2, SIZE_MAX, &bitdrop_kernels_avx512_bf16},
        /* rows * cols of the next call is 0 in a size_t */
        {all, AUTO, &tuned, SIZE_MAX / 2 + 1, 2, &bitdrop_kernels_avx512_bf16},
        {all, BITDROP_ISA_AVX512, &tuned, 1, 1, &bitdrop_kernels_avx512_bf16},
        {scalar, AUTO, &tuned, 1, 1, &bitdrop_kernels_scalar},
    };

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        cr_expect_eq(bitdrop_kernels_of(calls[i].isas, calls[i].tuning, calls[i].isa, calls[i].rows,
                                        calls[i].cols),
                     calls[i].wanted, "call %zu", i);
}
#endif

/* AUTO streams calls that are not in place, from the threshold in bytes on. */
Test(dispatch, choice_of_stores)
{
    const size_t half = bitdrop_streaming_bytes() / 2;
    unsigned char *const x = (unsigned char *)0x10000, *const z = x + 16, *const y = x + 32;
    const struct {
        unsigned char *x, *z, *y;
        size_t bytes;
        unsigned stores;
        bool wanted;
    } calls[] = {
        {x, NULL, y, half, BITDROP_STORES_AUTO, true},
        {x, NULL, y, half - 4, BITDROP_STORES_AUTO, false},
        {x, NULL, x, 2 * half, BITDROP_STORES_AUTO, false},
        {x, z, y, half, BITDROP_STORES_AUTO, true},
        {x, z, y, 2 * half / 3 + 4, BITDROP_STORES_AUTO, true},
        {x, z, y, 2 * half / 3 - 4, BITDROP_STORES_AUTO, false},
        {x, z, z, 2 * half, BITDROP_STORES_AUTO, false},
        {x, NULL, y + 1, half, BITDROP_STORES_AUTO, false},
        {x, NULL, y, 2 * half, BITDROP_STORES_CACHED, false},
        {x, NULL, y, 4, BITDROP_STORES_STREAMING, true},
        {x, NULL, x, 4, BITDROP_STORES_STREAMING, true},
        {x, NULL, y + 1, 4, BITDROP_STORES_STREAMING, false},
    };

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct bitdrop_job job = {.rows = 1, .cols = calls[i].bytes / 4, .size = 4};

        job.in[0] = (struct bitdrop_operand){calls[i].x, calls[i].bytes, 4};
        if (calls[i].z != NULL)
            job.in[1] = (struct bitdrop_operand){calls[i].z, calls[i].bytes, 4};
        job.out = (struct bitdrop_operand){calls[i].y, calls[i].bytes, 4};
        choose_stores(&job, calls[i].stores);
        cr_expect_eq(job.streaming, calls[i].wanted, "call %zu", i);
    }
}

static bitdrop_isa isa_for(unsigned isa, size_t rows, size_t cols)
{
    return bitdrop_kernels_for(isa, rows, cols)->isa;
}

/* The tuning may exclude AVX-512 for small calls. The config and BITDROP_ISA can still name it. */
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

/* Attention in bf16 by pairs, even if the tuning of this CPU does not use pairs. */
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

/* Attention pads a row to a whole vector, and no further: another buffer may follow. */
Test(dispatch, attention_pads_rows_to_a_vector)
{
    enum { MOST = 100, BYTES = 8 * MOST + 512 };
    static const unsigned char from[BYTES];
    static unsigned char to[BYTES];

    for (int isa = BITDROP_ISA_SCALAR; isa <= BITDROP_ISA_NEON; isa++)
        for (int t = 0; t < BITDROP_DTYPE_COUNT && bitdrop_isa_supported((bitdrop_isa)isa); t++)
            for (size_t n = 1; n <= MOST; n++) {
                const struct bitdrop_attention_kernels *kernels =
                    &bitdrop_kernels_for((unsigned)isa, SIZE_MAX, SIZE_MAX)->attention[t];
                const size_t lanes = kernels->lanes;
                const size_t end = (n + lanes - 1) / lanes * lanes * kernels->number;

                memset(to, 0x5A, sizeof to);
                kernels->widen(&(struct bitdrop_copied_rows){to, BYTES, from, BYTES, 1, n, NULL});
                for (size_t i = 0; i < BYTES; i++)
                    cr_assert_eq(to[i], i < end ? 0 : 0x5A, "ISA %d, dtype %d, n %zu, byte %zu",
                                 isa, t, n, i);
            }
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
const size_t expected_tests = 32 + BITDROP_HAVE_AVX512_BF16;
#else
const size_t expected_tests = 31;
#endif
