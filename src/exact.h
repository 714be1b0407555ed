/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bit-exactness: the contract says how each operation rounds. Files that compute with floats
 * include this header first.
 *
 * A fused multiply-add rounds once, where the contract rounds twice. After this header compilers
 * never fuse a * b + c, whatever the flags are. gcc would do so, unless a flag names an ISO C
 * standard.
 *
 * Fast math changes values. gcc defines macros if it is on, and then the build stops. clang defines
 * macros only for -ffast-math and -ffinite-math-only. On x86 a pragma of clang undoes the other
 * parts, for example -funsafe-math-optimizations, except that zeros may change their signs. On
 * other CPUs clang has no such pragma.
 *
 * AltiVec, the vector unit of PowerPC before VSX, makes denormals 0 unless a program tells it not
 * to. After this header gcc does not use it. clang has no such pragma, so there the build stops.
 */
#ifndef BITDROP_EXACT_H
#define BITDROP_EXACT_H

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) ||     \
    defined(__NO_SIGNED_ZEROS__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "bitdrop: -ffast-math and its parts change values: compile it without them"
#endif

#if defined(__ALTIVEC__) && !defined(__VSX__)
#ifdef __clang__
#error "bitdrop: AltiVec without VSX makes denormals 0: compile it with -mno-altivec"
#endif
#pragma GCC target("no-altivec")
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
