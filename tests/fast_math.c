/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/check_compilers.sh compiles this caller of the library with and without -ffast-math. A
 * program linked with -ffast-math flushes denormals to zero from its start. This must change
 * neither masks, nor outputs far from denormals, nor the results of bitdrop/apply.h. The program
 * prints whether denormals are flushed, and hashes.
 */
#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bitdrop/apply.h"
#include "bitdrop/bitdrop.h"

enum { N = 5003 };

static union {
    uint8_t bytes[N * 8];
    uint16_t half[N];
    uint32_t f32[N];
    uint64_t f64[N];
} x, z;
static double y[N], applied[N]; /* large enough for any dtype */
static uint8_t mask[(N + 7) / 8];

static uint64_t hash_of(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001B3); /* FNV-1a */
    return hash;
}

/* Numbers of both signs around 1. */
static void fill(bitdrop_dtype t, uint64_t random)
{
    for (size_t i = 0; i < N; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const uint64_t sign = random >> 63, fraction = random << 1;

        switch (t) {
        case BITDROP_F32:
            x.f32[i] = (uint32_t)(sign << 31 | 0x3F800000 | fraction >> 41);
            break;
        case BITDROP_F64:
            x.f64[i] = sign << 63 | UINT64_C(0x3FF) << 52 | fraction >> 12;
            break;
        case BITDROP_F16:
            x.half[i] = (uint16_t)(sign << 15 | 0x3C00 | fraction >> 54);
            break;
        case BITDROP_BF16:
            x.half[i] = (uint16_t)(sign << 15 | 0x3F80 | fraction >> 57);
            break;
        }
    }
}

/* Applies the mask in a loop of its own, and compares with y. */
static int applies(float scale)
{
    float *out = (float *)applied;

    for (size_t i = 0; i < N; i += BITDROP_KEEP_BLOCK) {
        const size_t count = N - i < BITDROP_KEEP_BLOCK ? N - i : BITDROP_KEEP_BLOCK;
        uint32_t keep[BITDROP_KEEP_BLOCK];

        bitdrop_keep_words(keep, mask, i, count);
        for (size_t k = 0; k < count; k++) {
            float v;

            memcpy(&v, &x.f32[i + k], sizeof v);
            out[i + k] = bitdrop_only_f32(keep[k], v * scale);
        }
    }
    return memcmp(out, y, N * sizeof *out) == 0;
}

int main(void)
{
    const bitdrop_2d row = {.rows = 1, .cols = N};
    static const size_t sizes[] = {4, 8, 2, 2}; /* by bitdrop_dtype */
    const volatile float least = FLT_MIN;
    int right = 1;

    printf("denormals are %s\n", least / 2 == 0 ? "flushed" : "kept");
    for (int isa = BITDROP_ISA_AUTO; isa <= BITDROP_ISA_NEON; isa++) {
        uint64_t masks = UINT64_C(0xCBF29CE484222325), values = masks;

        if (!bitdrop_isa_supported((bitdrop_isa)isa))
            continue;
        for (int t = 0; t < 4; t++) {
            const bitdrop_config cfg = {
                .p = 0.3, .seed = 42, .stream = (uint32_t)t, .isa = (uint8_t)isa};
            const size_t bytes = N * sizes[t];
            bitdrop_status status;

            fill((bitdrop_dtype)t, 7);
            z = x;
            fill((bitdrop_dtype)t, 8);
            status = bitdrop_forward(&cfg, (bitdrop_dtype)t, N, &x, y, mask);
            masks = hash_of(masks, mask, sizeof mask);
            values = hash_of(values, y, bytes);
            if (t == BITDROP_F32)
                right &= applies((float)(1 / (1 - cfg.p)));
            status |= bitdrop_forward_add(&cfg, (bitdrop_dtype)t, &row, &x, NULL, &z, y, mask);
            values = hash_of(values, y, bytes);
            status |= bitdrop_backward(&cfg, (bitdrop_dtype)t, N, &x, y, mask);
            values = hash_of(values, y, bytes);
            right &= status == BITDROP_OK;
        }
        printf("%s: mask hash %016" PRIx64 ", value hash %016" PRIx64 "\n",
               bitdrop_isa_name((bitdrop_isa)isa), masks, values);
    }
    puts(right ? "right" : "WRONG");
    return right ? 0 : 1;
}
