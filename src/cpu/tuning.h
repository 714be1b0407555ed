/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is fastest on a CPU. Of results only attention in bf16 depends on it, by bf16_pairs.
 * docs/tuning.md says how each entry was measured, and how to measure a CPU that has none.
 */
#ifndef BITDROP_TUNING_H
#define BITDROP_TUNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bitdrop_tuning {
    const char *name;      /* of the microarchitecture */
    size_t small_elements; /* calls of so many at most run AVX2 rather than AVX-512 */
    size_t prefetch_ahead; /* bytes from what is read or written to what is prefetched */
    bool streamed_inputs;  /* prefetch the inputs of calls with streaming stores */
    bool pages_in_turn;    /* with streaming stores and given bits, go through four pages at once */
    size_t inputs_from;    /* prefetch those of other calls that write so many bytes or more, */
    size_t output_from;    /* and their output from so many bytes on; SIZE_MAX: never */
    bool bf16_pairs;       /* multiply bf16 by AVX512_BF16 in attention, rather than as f32 */
};

/* What a call prefetches, and whether it goes through pages in turn instead. */
struct bitdrop_prefetch {
    bool inputs, output, pages_in_turn;
    uint32_t ahead; /* bytes */
};

/* Inline, because each call asks. */
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

/* By leaf 0 EBX and leaf 1 EAX of CPUID; for CPUs that nobody has measured there is a default. */
const struct bitdrop_tuning *bitdrop_x86_tuning(uint32_t leaf0_ebx, uint32_t leaf1_eax);

/* Of leaf 1 EAX. */
unsigned bitdrop_x86_family(uint32_t leaf1_eax);
unsigned bitdrop_x86_model(uint32_t leaf1_eax);

/* Where nothing was measured: no prefetching. */
extern const struct bitdrop_tuning bitdrop_tuning_none;

#endif
