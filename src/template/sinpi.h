/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sine and cosine of pi * x for |x| <= 1, from libm's sin, because C11 has neither. x is reduced to
 * at most 1/2 without rounding, so that zeros are exact. The result is computed in double and
 * rounded again. Needs no vec.h.
 */
#ifndef BITDROP_TEMPLATE_SINPI_H
#define BITDROP_TEMPLATE_SINPI_H

#include <math.h>

#define SINPI_PI 3.14159265358979323846

static inline float sinpi_by_libm(float x)
{
    const double a = fabs((double)x);

    return (float)copysign(sin(SINPI_PI * (a > 0.5 ? 1 - a : a)), x);
}

static inline float cospi_by_libm(float x)
{
    return (float)sin(SINPI_PI * (0.5 - fabs((double)x)));
}

#endif
