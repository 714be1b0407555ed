/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which tables of kernels are compiled: BITDROP_HAVE_<table> is 1 or 0. It depends on the CPU that
 * the compiler targets. -DBITDROP_NO_<table> leaves out a table, and the tables that extend it.
 * scalar is always compiled. BITDROP_LEFT_OUT is defined if a table is left out because the build
 * does not pass a flag. It names the table and the flag.
 */
#ifndef BITDROP_HAVE_H
#define BITDROP_HAVE_H

struct bitdrop_kernels; /* so that files of other CPUs are not empty: ISO C forbids that */

/*
 * On Windows gcc spills vectors by aligned moves to a stack that is not aligned to them (GCC bug
 * 54412). With -Wa,-muse-unaligned-vector-move the assembler writes unaligned moves. A build that
 * passes this flag also defines BITDROP_UNALIGNED_VECTOR_MOVE.
 */
#if (defined(_WIN32) || defined(__CYGWIN__)) && defined(__x86_64__) && !defined(__clang__) &&      \
    !defined(BITDROP_UNALIGNED_VECTOR_MOVE)
#undef BITDROP_NO_AVX2
#define BITDROP_NO_AVX2
#undef BITDROP_NO_AVX512
#define BITDROP_NO_AVX512
#define BITDROP_LEFT_OUT "AVX: add -Wa,-muse-unaligned-vector-move -DBITDROP_UNALIGNED_VECTOR_MOVE"
#endif

#if defined(__x86_64__) && !defined(BITDROP_NO_AVX2)
#define BITDROP_HAVE_AVX2 1
#else
#define BITDROP_HAVE_AVX2 0
#endif

#if defined(__x86_64__) && !defined(BITDROP_NO_AVX512)
#define BITDROP_HAVE_AVX512 1
#else
#define BITDROP_HAVE_AVX512 0
#endif

/* gcc has AVX512_BF16 from 10 on, and clang from 9 on. */
#if BITDROP_HAVE_AVX512 && !defined(BITDROP_NO_AVX512_BF16) && __has_include(<avx512bf16intrin.h>)
#define BITDROP_HAVE_AVX512_BF16 1
#else
#define BITDROP_HAVE_AVX512_BF16 0
#endif

/*
 * For 32-bit Arm, gcc compiles NEON unless floats are soft or the CPU is a microcontroller. clang
 * needs -mfpu=neon for the files of NEON. A build that passes it defines BITDROP_NEON_FLAGS for all
 * files.
 */
#if defined(BITDROP_NO_NEON) || !defined(__BYTE_ORDER__) ||                                        \
    __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#define BITDROP_HAVE_NEON 0
#elif defined(__aarch64__)
#define BITDROP_HAVE_NEON 1
#elif defined(__ARM_NEON) || defined(BITDROP_NEON_FLAGS)
#define BITDROP_HAVE_NEON 1
#elif defined(__ARM_FP) && defined(__ARM_ARCH_ISA_ARM) && !defined(__clang__)
#define BITDROP_HAVE_NEON 1
#elif defined(__ARM_FP) && defined(__ARM_ARCH_ISA_ARM)
#define BITDROP_HAVE_NEON 0
#define BITDROP_LEFT_OUT "NEON: add -mfpu=neon"
#else
#define BITDROP_HAVE_NEON 0
#endif

#endif
