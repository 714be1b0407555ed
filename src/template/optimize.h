/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How kernels are compiled. Each file of kernels includes this before all else except have.h.
 *
 * At -O2 gcc keeps small arrays of vectors in memory, and Philox takes three times as long. So
 * kernels ask for -O3 themselves. Not at -O0, where they can be debugged, and not for sanitizers,
 * which would compile for minutes. clang does not need it.
 */
#ifndef BITDROP_TEMPLATE_OPTIMIZE_H
#define BITDROP_TEMPLATE_OPTIMIZE_H

#include "exact.h"

#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__) &&                           \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#pragma GCC optimize("O3")
#endif

#endif
