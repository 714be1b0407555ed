/* SPDX-License-Identifier: Apache-2.0 */
/* f32 and f64, the two types of a computation: their numbers in C, and where their exp ends. */
#ifndef BITDROP_TEMPLATE_NUMBER_H
#define BITDROP_TEMPLATE_NUMBER_H

typedef float f32_number;
typedef double f64_number;

/*
 * The exp of EXP_END and of all smaller numbers is +0. Callers replace smaller arguments by
 * EXP_END: SLEEF's expf raises FE_INVALID below -176, and -infinity is a common argument.
 */
enum { f32_EXP_END = -110, f64_EXP_END = -760 };

#endif
