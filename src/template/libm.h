/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exp, log, erfc, and sine and cosine of pi * x by libm, one element after the other, where there
 * are no vector functions. The includer has defined f32_vec and f64_vec, and the words that load
 * and store them.
 */
#ifndef BITDROP_TEMPLATE_LIBM_H
#define BITDROP_TEMPLATE_LIBM_H

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
