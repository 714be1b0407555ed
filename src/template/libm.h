/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Part of a vec.h: vector math by libm, one element after the other, for builds without SLEEF.
 *
 * The vec.h has defined f32_vec, f64_vec, their LANES, loads and stores, and f32_sine_cosine.
 */
#ifndef BITDROP_TEMPLATE_LIBM_H
#define BITDROP_TEMPLATE_LIBM_H

#ifndef BITDROP_VEC_H
#error "only a vec.h includes this file"
#endif

#include <math.h>

#include "template/sinpi.h"

static inline f32_vec f32_each(f32_vec a, float (*function)(float))
{
    float x[f32_LANES];

    f32_store(x, a);
    for (int i = 0; i < f32_LANES; i++)
        x[i] = function(x[i]);
    return f32_load(x);
}

static inline f64_vec f64_each(f64_vec a, double (*function)(double))
{
    double x[f64_LANES];

    f64_store(x, a);
    for (int i = 0; i < f64_LANES; i++)
        x[i] = function(x[i]);
    return f64_load(x);
}

static inline f32_vec f32_exp(f32_vec a) { return f32_each(a, expf); }
static inline f64_vec f64_exp(f64_vec a) { return f64_each(a, exp); }
static inline f32_vec f32_log(f32_vec a) { return f32_each(a, logf); }
static inline f64_vec f64_log(f64_vec a) { return f64_each(a, log); }
static inline f64_vec f64_erfc(f64_vec a) { return f64_each(a, erfc); }

static inline f32_sine_cosine f32_sincospi(f32_vec a)
{
    float sine[f32_LANES], cosine[f32_LANES];

    f32_store(sine, a);
    for (int i = 0; i < f32_LANES; i++) {
        cosine[i] = cospi_by_libm(sine[i]);
        sine[i] = sinpi_by_libm(sine[i]);
    }
    return (f32_sine_cosine){f32_load(sine), f32_load(cosine)};
}

#endif
