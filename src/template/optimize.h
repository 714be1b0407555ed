/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How kernels are compiled. Each file of kernels includes this first, after have.h only.
 *
 * At -O2 gcc keeps small arrays of vectors in memory, and Philox takes three times as long. So
 * kernels ask for -O3 themselves. They do not at -O0, so that they can be debugged, and not with
 * sanitizers, where compilation would take minutes. clang does not need it.
 */
#ifndef BITDROP_TEMPLATE_OPTIMIZE_H
#define BITDROP_TEMPLATE_OPTIMIZE_H

#include "exact.h"

#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__) &&                           \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#pragma GCC optimize("O3")
#endif

#endif
