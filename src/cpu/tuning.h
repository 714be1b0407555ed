/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is fastest on a CPU. It does not change results, except those of attention in bf16
 * (bf16_pairs). docs/tuning.md says how each entry was measured, and how to measure a new CPU.
 */
#ifndef BITDROP_TUNING_H
#define BITDROP_TUNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bitdrop_tuning {
    const char *name;      /* of the microarchitecture */
    size_t small_elements; /* calls on at most this many elements use AVX2, not AVX-512 */
    size_t prefetch_ahead; /* prefetch this many bytes ahead of what is read or written */
    bool streamed_inputs;  /* prefetch inputs of calls with streaming stores */
    bool pages_in_turn;    /* with streaming stores and given bits, apply four pages in turn */
    size_t inputs_from;    /* prefetch inputs of other calls that write at least this many bytes */
    size_t output_from;    /* prefetch their output likewise; SIZE_MAX: never */
    bool bf16_pairs;       /* attention multiplies bf16 by AVX512_BF16, not as f32 */
};

/* What a call prefetches, and whether it applies pages in turn instead. */
struct bitdrop_prefetch {
    bool inputs, output, pages_in_turn;
    uint32_t ahead; /* bytes */
};

/* Inline, because each call needs it. */
static inline struct bitdrop_prefetch bitdrop_prefetch_of(const struct bitdrop_tuning *t,
                                                          bool streaming, size_t output_bytes)
{
    return (struct bitdrop_prefetch){
        .inputs = streaming ? t->streamed_inputs : output_bytes >= t->inputs_from,
        .output = !streaming && output_bytes >= t->output_from,
        .pages_in_turn = streaming && t->pages_in_turn,
        .ahead = (uint32_t)t->prefetch_ahead,
    };
}

/* Leaf 0 EBX of CPUID. */
#define BITDROP_CPUID_INTEL UINT32_C(0x756E6547) /* "Genu" */
#define BITDROP_CPUID_AMD UINT32_C(0x68747541)   /* "Auth" */

/* By leaf 0 EBX and leaf 1 EAX of CPUID. A CPU that was not measured has a default. */
const struct bitdrop_tuning *bitdrop_x86_tuning(uint32_t leaf0_ebx, uint32_t leaf1_eax);

/* From leaf 1 EAX. */
unsigned bitdrop_x86_family(uint32_t leaf1_eax);
unsigned bitdrop_x86_model(uint32_t leaf1_eax);

/* For CPUs that are not x86, because none was measured: no prefetching. */
extern const struct bitdrop_tuning bitdrop_tuning_none;

#endif
