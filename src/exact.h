/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bit-exactness: a fused multiply-add rounds once where the contract rounds twice. Compilers make
 * none of a * b + c behind this header, whatever the flags say: gcc would do it unless an ISO C
 * standard is named. Files that compute with floats include it before all else.
 */
#ifndef BITDROP_EXACT_H
#define BITDROP_EXACT_H

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__) && defined(__OPTIMIZE__)
#pragma GCC optimize("fp-contract=off")
#endif

#endif
