/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program that `./dev bench --tune` runs. It tries the choices of a struct bitdrop_tuning on
 * this CPU, and prints their times and the line for the table in src/cpu/tuning.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "attention.h"
#include "case.h"
#include "cpu/cpu.h"
#include "dispatch.h"
#include "machine.h"
#include "measure.h"
#include "memory.h"

#ifdef __x86_64__
#include <cpuid.h>

enum { KIB = 1 << 10, MIB = 1 << 20 };

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define GAIN 0.98 /* the product of a choice's ratios must be below this: less may be noise */

/* A case with a tuning. */
struct tuned {
    struct bench_case c;
    struct bitdrop_tuning tuning;
    bool fresh_output; /* each call writes to memory after that of the last, as in training */
};

static void tuned_repeat(void *argument, size_t calls)
{
    static size_t at; /* where the output begins, in elements */
    const struct tuned *t = argument;
    struct bench_case c = t->c;
    const size_t available = memory_largest() / dtype_bytes(c.dtype);

    bitdrop_set_tuning(&t->tuning);
    if (!t->fresh_output) {
        case_repeat(&c, calls);
        return;
    }
    for (size_t i = 0; i < calls; i++) {
        at = at + 2 * c.n > available ? 0 : at + c.n;
        c.y_skew = at;
        case_repeat(&c, 1);
    }
}

/* Times `count` tunings of a case, and multiplies each ratio[i] by time i / time 0. */
static void compare(const struct bench_case *c, const struct bitdrop_tuning *tunings, size_t count,
                    bool fresh_output, double seconds, double *ratio)
{
    struct tuned tuned[MEASURE_MAX];
    struct body bodies[MEASURE_MAX];
    double time[MEASURE_MAX];

    for (size_t i = 0; i < count; i++) {
        tuned[i] = (struct tuned){*c, tunings[i], fresh_output};
        bodies[i] = (struct body){tuned_repeat, &tuned[i], 1};
    }
    measure(bodies, count, seconds, time);
    for (size_t i = 0; i < count; i++) {
        ratio[i] *= time[i] / time[0];
        printf(" %7.3f", time[i] / time[0]);
    }
    puts("");
    fflush(stdout);
}

/* With streaming stores. Sets whether and how far ahead inputs are prefetched. */
static void tune_streaming(struct bitdrop_tuning *chosen, double seconds)
{
    static const size_t distances[] = {0, 1 * KIB, 2 * KIB, 4 * KIB, 8 * KIB};
    static const struct bench_case cases[] = {
        {OP_forward, .dtype = BITDROP_F32, .p = 0.1},
        {OP_forward, .dtype = BITDROP_F32, .p = 0.5},
        {OP_backward, .dtype = BITDROP_F32, .p = 0.1},
        {OP_forward, .dtype = BITDROP_BF16, .p = 0.1},
        {OP_backward, .dtype = BITDROP_BF16, .p = 0.1},
    };
    struct bitdrop_tuning tunings[COUNT(distances)];
    double ratio[COUNT(distances)];
    const size_t most = smaller(512 * MIB, memory_largest());
    size_t best = 0;

    puts("\nStreaming stores: time with inputs prefetched so far ahead / time without prefetching");
    printf("%-20s %7s %7s %7s %7s %7s\n", "", "not", "1 KiB", "2 KiB", "4 KiB", "8 KiB");
    for (size_t i = 0; i < COUNT(distances); i++) {
        ratio[i] = 1;
        tunings[i] = bitdrop_tuning_none;
        tunings[i].prefetch_ahead = distances[i];
        tunings[i].streamed_inputs = distances[i] > 0;
    }
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bench_case c = cases[i];

        c.n = most / dtype_bytes(c.dtype);
        c.stores = BITDROP_STORES_STREAMING;
        case_prepare(&c);
        printf("%-8s %-4s p=%-4g", case_operation_name(&c), case_dtype_name(&c), c.p);
        compare(&c, tunings, COUNT(tunings), false, seconds, ratio);
    }
    for (size_t i = 1; i < COUNT(distances); i++)
        if (ratio[i] < ratio[best])
            best = i;
    chosen->streamed_inputs = best > 0 && ratio[best] < GAIN;
    chosen->prefetch_ahead = chosen->streamed_inputs ? distances[best] : 2 * KIB;
}

/* With streaming stores and given bits. Sets whether calls go through four pages in turn. */
static void tune_pages(struct bitdrop_tuning *chosen, double seconds)
{
    struct bitdrop_tuning tunings[2] = {*chosen, *chosen};
    double ratio[2] = {1, 1};

    tunings[1].pages_in_turn = true;
    puts("\nStreaming stores, backward p=0.1: time with four pages in turn / time with one");
    printf("%-20s %7s %7s\n", "", "one", "in turn");
    for (unsigned t = 0; t < BITDROP_DTYPE_COUNT; t++) {
        struct bench_case c = {OP_backward, .dtype = (bitdrop_dtype)t, .p = 0.1};

        c.n = smaller(512 * MIB, memory_largest()) / dtype_bytes(c.dtype);
        c.stores = BITDROP_STORES_STREAMING;
        case_prepare(&c);
        printf("%-20s", case_dtype_name(&c));
        compare(&c, tunings, 2, false, seconds, ratio);
    }
    chosen->pages_in_turn = ratio[1] < GAIN;
}

/* With stores through the caches. Sets from which size on inputs and output are prefetched. */
static void tune_cached(struct bitdrop_tuning *chosen, double seconds)
{
    enum { NOTHING, INPUTS, OUTPUT, BOTH, CHOICES };
    enum { LEAST = 1 * MIB }; /* fewer bytes may be in L2, where prefetching costs 5 % */
    struct bitdrop_tuning tunings[CHOICES];

    puts("\nCached stores, forward f32 p=0.1 and backward: time with prefetching / time without");
    printf("%-20s %7s %7s %7s %7s\n", "", "nothing", "inputs", "output", "both");
    for (int i = 0; i < CHOICES; i++) {
        tunings[i] = bitdrop_tuning_none;
        tunings[i].prefetch_ahead = chosen->prefetch_ahead;
        tunings[i].inputs_from = i & INPUTS ? 0 : SIZE_MAX;
        tunings[i].output_from = i & OUTPUT ? 0 : SIZE_MAX;
    }
    chosen->inputs_from = chosen->output_from = SIZE_MAX;
    for (size_t bytes = 32 * MIB; bytes >= LEAST; bytes /= 2) {
        double ratio[CHOICES] = {1, 1, 1, 1};
        int best = NOTHING;

        for (int backward = 0; backward < 2; backward++) {
            struct bench_case c = {backward ? OP_backward : OP_forward, .dtype = BITDROP_F32};

            c.p = 0.1;
            c.n = memory_largest() / sizeof(float); /* touches the memory of all outputs */
            case_prepare(&c);
            c.n = bytes / sizeof(float);
            c.stores = BITDROP_STORES_CACHED;
            printf("%-8s %7zu KiB", case_operation_name(&c), bytes / KIB);
            compare(&c, tunings, CHOICES, true, seconds, ratio);
        }
        for (int i = 1; i < CHOICES; i++)
            if (ratio[i] < GAIN * ratio[best])
                best = i;
        if (best & INPUTS)
            chosen->inputs_from = bytes;
        if (best & OUTPUT)
            chosen->output_from = bytes;
    }
}

/* A call, and before it integer work of about 16 us if `pause`. */
struct paused {
    struct bench_case c; /* n = 0: no call */
    bool pause;
};

static void paused_repeat(void *argument, size_t calls)
{
    const struct paused *p = argument;

    for (size_t i = 0; i < calls; i++) {
        if (p->pause)
            for (volatile int k = 0; k < 10000;)
                k = k + 1;
        if (p->c.n > 0)
            case_repeat((void *)(uintptr_t)&p->c, 1);
    }
}

/* Sets the largest number of elements for which AVX2 is faster than AVX-512. */
static void tune_small(struct bitdrop_tuning *chosen, double seconds)
{
    puts("\nSmall calls of forward f32 p=0.1: time of AVX2 / time of AVX-512");
    printf("%-20s %12s %12s\n", "elements", "back to back", "after pauses");
    chosen->small_elements = 0;
    if (!bitdrop_isa_supported(BITDROP_ISA_AVX512))
        return;
    for (size_t n = 64; n <= 4096; n *= 2) {
        double ratio[2];

        for (int pause = 0; pause < 2; pause++) {
            struct paused p[3];
            struct body bodies[3];
            double time[3];

            for (int i = 0; i < 3; i++) {
                p[i].c = (struct bench_case){OP_forward, .dtype = BITDROP_F32, .p = 0.1};
                p[i].c.isa = i == 1 ? BITDROP_ISA_AVX512 : BITDROP_ISA_AVX2;
                p[i].c.n = i < 2 ? n : 0;
                p[i].pause = pause;
                bodies[i] = (struct body){paused_repeat, &p[i], 1};
            }
            case_prepare(&p[0].c);
            measure(bodies, 3, seconds, time);
            ratio[pause] = (time[0] - time[2]) / (time[1] - time[2]);
        }
        printf("%-20zu %12.3f %12.3f\n", n, ratio[0], ratio[1]);
        fflush(stdout);
        if (ratio[0] * ratio[1] < GAIN)
            chosen->small_elements = n;
    }
}

/* Attention in bf16, computed in pairs of bf16 or in f32. */
struct tuned_attention {
    struct attention_case c;
    struct bitdrop_tuning tuning;
};

static void attention_tuned_repeat(void *argument, size_t calls)
{
    struct tuned_attention *t = argument;

    bitdrop_set_tuning(&t->tuning);
    attention_repeat(&t->c, calls);
}

/* Sets whether attention multiplies pairs of bf16. */
static void tune_pairs(struct bitdrop_tuning *chosen, double seconds)
{
    struct tuned_attention t[2];
    struct body bodies[2];
    double ratio = 1;

    puts("\nAttention in bf16, p=0.1: time with pairs / time with f32");
    chosen->bf16_pairs = false;
    if (!(bitdrop_known_isas() & UINT32_C(1) << BITDROP_AVX512_BF16))
        return;
    for (int s = 0; s < ATTENTION_SIZES; s++) {
        double time[2];

        for (int pairs = 0; pairs < 2; pairs++) {
            t[pairs] = (struct tuned_attention){
                {&attention_sizes[s], BITDROP_ISA_AVX512, BITDROP_BF16, 0.1}, bitdrop_tuning_none};
            t[pairs].tuning.bf16_pairs = pairs == 1;
            bodies[pairs] = (struct body){attention_tuned_repeat, &t[pairs], 1};
            bitdrop_set_tuning(&t[pairs].tuning);
            attention_prepare(&t[pairs].c);
        }
        measure(bodies, 2, seconds, time);
        ratio *= time[1] / time[0];
        printf("%-20s %7.3f\n", attention_sizes[s].name, time[1] / time[0]);
        fflush(stdout);
    }
    chosen->bf16_pairs = ratio < GAIN;
}

/* Prints a number of bytes as src/cpu/tuning.c writes it. */
static void print_bytes(size_t bytes)
{
    if (bytes == SIZE_MAX)
        printf("NEVER");
    else if (bytes % MIB == 0 && bytes > 0)
        printf("%zu * MIB", bytes / MIB);
    else
        printf("%zu * KIB", bytes / KIB);
}

static void print_entry(const struct bitdrop_tuning *t)
{
    uint32_t eax = 0, ebx, ecx, edx, vendor = 0;
    unsigned family, model;

    __cpuid(0, eax, vendor, ecx, edx);
    __cpuid(1, eax, ebx, ecx, edx);
    family = bitdrop_x86_family(eax);
    model = bitdrop_x86_model(eax);
    printf("\nThe line for src/cpu/tuning.c:\n    {%s, 0x%02X, 0x%02X, 0x%02X, {\"?\", %zu, ",
           vendor == BITDROP_CPUID_INTEL ? "INTEL"
           : vendor == BITDROP_CPUID_AMD ? "AMD"
                                         : "?",
           family, model, model, t->small_elements);
    print_bytes(t->prefetch_ahead);
    printf(", %s, %s, ", t->streamed_inputs ? "true" : "false",
           t->pages_in_turn ? "true" : "false");
    print_bytes(t->inputs_from);
    printf(", ");
    print_bytes(t->output_from);
    printf(", %s}},\nCPUID leaf 1 EAX, for tests/test_dispatch.c: 0x%08X\n",
           t->bf16_pairs ? "true" : "false", (unsigned)eax);
}

static int tune(double seconds)
{
    const char *name = bitdrop_tuning()->name;
    struct bitdrop_tuning chosen = bitdrop_tuning_none;

    printf("%s, tuned as \"%s\". Ratios below 1 are gains.\n", machine_cpu_name(), name);
    tune_streaming(&chosen, seconds);
    tune_pages(&chosen, seconds);
    tune_cached(&chosen, seconds);
    if (!chosen.streamed_inputs && chosen.inputs_from == SIZE_MAX && chosen.output_from == SIZE_MAX)
        chosen.prefetch_ahead = 0;
    bitdrop_set_tuning(&bitdrop_tuning_none);
    tune_small(&chosen, seconds);
    tune_pairs(&chosen, seconds);
    print_entry(&chosen);
    return 0;
}

#else

static int tune(double seconds)
{
    (void)seconds;
    puts("Only x86 CPUs have a table of tunings.");
    return 1;
}

#endif

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 2;

    if (argc > 2 || !(seconds > 0 && seconds < 1000)) {
        fputs("usage: bitdrop-tune [seconds for each choice]\n", stderr);
        return 2;
    }
    return tune(seconds);
}
