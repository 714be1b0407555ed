/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exp, log, erfc, and sine and cosine of pi * x. On CPUs with FMA they are those of SLEEF, with the
 * values of its vector functions. On other CPUs they are those of libm.
 */
#ifndef BITDROP_SCALAR_MATH_H
#define BITDROP_SCALAR_MATH_H

float bitdrop_exp_f32(float x);
double bitdrop_exp_f64(double x);
float bitdrop_log_f32(float x);
double bitdrop_log_f64(double x);
double bitdrop_erfc_f64(double x);
void bitdrop_sincospi_f32(float x, float *sine, float *cosine);

#endif
