/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares bitdrop/apply.h with bitdrop_backward: for any first bit and any count, with masks that
 * begin or end at an unmapped page, and with infinities and NaNs among the dropped elements.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "apply_loops.h"
#include "bitdrop/bitdrop.h"
#include "guard.h"

enum { ELEMENTS = 640, FIRST_BITS = 41 };

static const bitdrop_config config = {.p = 0.3, .seed = 42};

static float x_f32[ELEMENTS], want_f32[ELEMENTS], y_f32[ELEMENTS + 1];
static double x_f64[ELEMENTS], want_f64[ELEMENTS], y_f64[ELEMENTS + 1];
static uint16_t x_half[ELEMENTS], want_half[ELEMENTS], y_half[ELEMENTS + 1];
static uint8_t mask[ELEMENTS / 8];

static bool prepare(void)
{
    bitdrop_config unscaled = config;

    for (int i = 0; i < ELEMENTS; i++) {
        const double x = i % 7 == 0 ? (i % 2 == 0 ? NAN : INFINITY) : i - 300.5;

        x_f32[i] = (float)x;
        x_f64[i] = x;
        x_half[i] = (uint16_t)(0x3C00 + i);
    }
    unscaled.scaling = BITDROP_SCALE_INFER;
    return bitdrop_mask(&config, ELEMENTS, mask) == BITDROP_OK &&
           bitdrop_backward(&config, BITDROP_F32, ELEMENTS, x_f32, want_f32, mask) == BITDROP_OK &&
           bitdrop_backward(&config, BITDROP_F64, ELEMENTS, x_f64, want_f64, mask) == BITDROP_OK &&
           bitdrop_backward(&unscaled, BITDROP_F16, ELEMENTS, x_half, want_half, mask) ==
               BITDROP_OK;
}

/*
 * Compares bytes, because a NaN is not equal to itself. y_half[n] shows whether the loop wrote
 * beyond the last element.
 */
static bool is_right(const struct apply_loops *loops, const uint8_t *bits, size_t first, size_t n)
{
    const double scale = 1 / (1 - config.p);
    bool right;

    memset(y_f32, 0x55, sizeof y_f32);
    memset(y_f64, 0x55, sizeof y_f64);
    memset(y_half, 0x55, sizeof y_half);
    loops->f32(y_f32, x_f32 + first, bits, first, n, (float)scale);
    loops->f64(y_f64, x_f64 + first, bits, first, n, scale);
    loops->half(y_half, x_half + first, bits, first, n);
    right = memcmp(y_f32, want_f32 + first, n * sizeof *y_f32) == 0 &&
            memcmp(y_f64, want_f64 + first, n * sizeof *y_f64) == 0 &&
            memcmp(y_half, want_half + first, n * sizeof *y_half) == 0 && y_half[n] == 0x5555;
    if (right && loops->vectors != NULL && first % loops->lanes == 0 && n % loops->lanes == 0) {
        loops->vectors(y_f32, x_f32 + first, bits, first, n, (float)scale);
        right = memcmp(y_f32, want_f32 + first, n * sizeof *y_f32) == 0;
    }
    if (!right)
        printf("%s: wrong from bit %zu, %zu elements\n", loops->name, first, n);
    return right;
}

static bool check(const struct apply_loops *loops, struct guard *g)
{
    bool right = true;

    for (size_t first = 0; first < FIRST_BITS && right; first++)
        for (size_t n = 0; first + n <= ELEMENTS && right; n++) {
            const size_t bytes = (first + n + 7) / 8;
            uint8_t *bits = guard_back(g, bytes, 0);

            memcpy(bits, mask, bytes);
            right = is_right(loops, bits, first, n);
            memcpy(guard_front(g, 0), mask, bytes);
            right = right && is_right(loops, guard_front(g, 0), first, n);
        }
    printf("%s: %s\n", loops->name, right ? "ok" : "WRONG");
    return right;
}

int main(void)
{
    struct guard g = guard_new(ELEMENTS / 8);
    bool right = prepare();

    right = check(&apply_loops_plain, &g) && right;
    right = check(&apply_loops_base, &g) && right;
#ifdef WITH_AVX
    if (bitdrop_isa_supported(BITDROP_ISA_AVX2))
        right = check(&apply_loops_avx2, &g) && right;
    if (bitdrop_isa_supported(BITDROP_ISA_AVX512))
        right = check(&apply_loops_avx512, &g) && right;
#endif
    guard_free(&g);
    return right ? 0 : 1;
}
