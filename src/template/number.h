/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers by the type that is computed in. */
#ifndef BITDROP_TEMPLATE_NUMBER_H
#define BITDROP_TEMPLATE_NUMBER_H

typedef float f32_number;
typedef double f64_number;

/*
 * exp of anything below is +0, and of this too. exp is not asked for less: SLEEF's expf raises
 * invalid below -176, and -infinity is common.
 */
enum { f32_EXP_END = -110, f64_EXP_END = -760 };

#endif
