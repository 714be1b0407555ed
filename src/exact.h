/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bit-exactness: the contract says how each operation rounds. Files that compute with floats
 * include this before all else.
 *
 * A fused multiply-add rounds once where the contract rounds twice. Compilers make none of a * b +
 * c behind this header, whatever the flags say: gcc would do it unless an ISO C standard is named.
 *
 * Fast math changes values. gcc says by macros that it is on, and the build stops. clang has macros
 * for -ffast-math and -ffinite-math-only alone. For x86 a pragma undoes the other parts, such as
 * -funsafe-math-optimizations, except that zeros may change their signs. For other CPUs clang has
 * no such pragma.
 */
#ifndef BITDROP_EXACT_H
#define BITDROP_EXACT_H

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) ||     \
    defined(__NO_SIGNED_ZEROS__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "bitdrop: -ffast-math and its parts change values: compile it without them"
#endif

#ifdef __clang__
#if defined(__x86_64__) || defined(__i386__)
#pragma float_control(precise, on)
#endif
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__) && defined(__OPTIMIZE__)
#pragma GCC optimize("fp-contract=off")
#endif

#endif
