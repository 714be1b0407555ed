/* SPDX-License-Identifier: Apache-2.0 */
/* Loops that apply a mask by bitdrop/apply.h, as an engine may write them. */
#ifndef BITDROP_TESTS_APPLY_LOOPS_H
#define BITDROP_TESTS_APPLY_LOOPS_H

#include <stddef.h>
#include <stdint.h>

/*
 * y[i] = x[i] * scale if bit first + i of the mask is 1, else +0. `half` copies x[i] instead,
 * without a scale.
 */
struct apply_loops {
    const char *name;
    void (*f32)(float *y, const float *x, const uint8_t *mask, size_t first, size_t n, float scale);
    void (*f64)(double *y, const double *x, const uint8_t *mask, size_t first, size_t n,
                double scale);
    void (*half)(uint16_t *y, const uint16_t *x, const uint8_t *mask, size_t first, size_t n);
    /* Does the same as f32 with vectors. first and n must be multiples of lanes. NULL if the ISA
     * has no vectors. */
    void (*vectors)(float *y, const float *x, const uint8_t *mask, size_t first, size_t n,
                    float scale);
    size_t lanes;
};

/* apply_loops.c defines them: it is compiled for each ISA, and as C++. */
extern const struct apply_loops apply_loops_plain, apply_loops_base, apply_loops_avx2,
    apply_loops_avx512, apply_loops_cxx;

#endif
