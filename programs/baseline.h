/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares the instruction sets that the compiler was allowed to use (-march, -mcpu, its default)
 * with those that this CPU has. So a program for other CPUs prints a message instead of dying of
 * SIGILL.
 *
 * baseline.c must run on the CPUs that it refuses. On x86-64 it is always compiled for the oldest
 * one: with -march=haswell, gcc fills has[] with AVX instructions. On other CPUs it is compiled
 * like the rest. On all CPUs main() up to its first call, and the start of the C library, are
 * compiled like the rest too. So a program for ARMv7 dies on an ARMv6 before it can print anything.
 */
#ifndef BITDROP_PROGRAMS_BASELINE_H
#define BITDROP_PROGRAMS_BASELINE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether a macro is defined. The text of a defined macro has another length than its name. */
#define BASELINE_TEXT_OF(text) #text
#define BASELINE_TEXT(macro) BASELINE_TEXT_OF(macro)
#define BASELINE_DEFINED(macro) (sizeof BASELINE_TEXT(macro) != sizeof #macro)

/*
 * X(extension, whether the including file may use it, whether this CPU has it), older ones first.
 * The numbers are bits of AT_HWCAP and AT_HWCAP2 (Linux, arch/.../include/uapi/asm/hwcap.h).
 */
#if defined(__x86_64__) || defined(__i386__)
#define BASELINE(X)                                                                                \
    X(SSE2, BASELINE_DEFINED(__SSE2__), __builtin_cpu_supports("sse2"))                            \
    X(SSE3, BASELINE_DEFINED(__SSE3__), __builtin_cpu_supports("sse3"))                            \
    X(SSSE3, BASELINE_DEFINED(__SSSE3__), __builtin_cpu_supports("ssse3"))                         \
    X(SSE4_1, BASELINE_DEFINED(__SSE4_1__), __builtin_cpu_supports("sse4.1"))                      \
    X(SSE4_2, BASELINE_DEFINED(__SSE4_2__), __builtin_cpu_supports("sse4.2"))                      \
    X(POPCNT, BASELINE_DEFINED(__POPCNT__), __builtin_cpu_supports("popcnt"))                      \
    X(AVX, BASELINE_DEFINED(__AVX__), __builtin_cpu_supports("avx"))                               \
    X(FMA, BASELINE_DEFINED(__FMA__), __builtin_cpu_supports("fma"))                               \
    X(BMI, BASELINE_DEFINED(__BMI__), __builtin_cpu_supports("bmi"))                               \
    X(BMI2, BASELINE_DEFINED(__BMI2__), __builtin_cpu_supports("bmi2"))                            \
    X(AVX2, BASELINE_DEFINED(__AVX2__), __builtin_cpu_supports("avx2"))                            \
    X(AVX512F, BASELINE_DEFINED(__AVX512F__), __builtin_cpu_supports("avx512f"))                   \
    X(AVX512DQ, BASELINE_DEFINED(__AVX512DQ__), __builtin_cpu_supports("avx512dq"))                \
    X(AVX512BW, BASELINE_DEFINED(__AVX512BW__), __builtin_cpu_supports("avx512bw"))                \
    X(AVX512VL, BASELINE_DEFINED(__AVX512VL__), __builtin_cpu_supports("avx512vl"))
#elif defined(__linux__) && defined(__aarch64__)
#define BASELINE(X)                                                                                \
    X(CRC32, BASELINE_DEFINED(__ARM_FEATURE_CRC32), hwcap(7))                                      \
    X(LSE, BASELINE_DEFINED(__ARM_FEATURE_ATOMICS), hwcap(8))                                      \
    X(RDM, BASELINE_DEFINED(__ARM_FEATURE_QRDMX), hwcap(12))                                       \
    X(FP16, BASELINE_DEFINED(__ARM_FEATURE_FP16_VECTOR_ARITHMETIC), hwcap(10))                     \
    X(DOTPROD, BASELINE_DEFINED(__ARM_FEATURE_DOTPROD), hwcap(20))                                 \
    X(SHA3, BASELINE_DEFINED(__ARM_FEATURE_SHA3), hwcap(17))                                       \
    X(SVE, BASELINE_DEFINED(__ARM_FEATURE_SVE), hwcap(22))                                         \
    X(I8MM, BASELINE_DEFINED(__ARM_FEATURE_MATMUL_INT8), hwcap2(13))                               \
    X(BF16, BASELINE_DEFINED(__ARM_FEATURE_BF16), hwcap2(14))                                      \
    X(SVE2, BASELINE_DEFINED(__ARM_FEATURE_SVE2), hwcap2(1))
#elif defined(__linux__) && defined(__arm__)
#define BASELINE(X)                                                                                \
    X(VFP, BASELINE_DEFINED(__ARM_FP), hwcap(6))                                                   \
    X(ARMv6, __ARM_ARCH >= 6, arm_version() >= 6)                                                  \
    X(ARMv7, __ARM_ARCH >= 7, arm_version() >= 7)                                                  \
    X(ARMv8, __ARM_ARCH >= 8, arm_version() >= 8)                                                  \
    X(VFPv4, BASELINE_DEFINED(__ARM_FEATURE_FMA), hwcap(16))                                       \
    X(IDIV, BASELINE_DEFINED(__ARM_FEATURE_IDIV), hwcap(17))                                       \
    X(NEON, BASELINE_DEFINED(__ARM_NEON), hwcap(12))
#elif defined(__linux__) && defined(__s390x__)
#define BASELINE(X)                                                                                \
    X(z13, __ARCH__ >= 11, hwcap(11))                                                              \
    X(z14, __ARCH__ >= 12, hwcap(13))                                                              \
    X(z15, __ARCH__ >= 13, hwcap(15))
#elif defined(__linux__) && defined(__riscv)
#define BASELINE(X) X(V, BASELINE_DEFINED(__riscv_vector), hwcap('v' - 'a'))
#else /* no way to ask the CPU is known */
#define BASELINE(X)
#endif

#define BASELINE_NUMBER(name, used, has) BASELINE_##name,
enum { BASELINE(BASELINE_NUMBER) BASELINE_END };

/* The set of extensions that the including file may use, for baseline_holds. */
#define BASELINE_BIT(name, used, has) | (uint32_t)(used) << BASELINE_##name
#define BASELINE_USED (UINT32_C(0) BASELINE(BASELINE_BIT))

/* Whether this CPU has all extensions of the set. If not, prints those that it lacks to stderr. */
bool baseline_holds(uint32_t used);

#endif
