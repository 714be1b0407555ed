/* SPDX-License-Identifier: Apache-2.0 */
/* CPU_READER names the file that reads the feature words. The other files compile to nothing. */
#ifndef BITDROP_CPU_READERS_H
#define BITDROP_CPU_READERS_H

#define CPU_UNKNOWN 0
#define CPU_X86 1
#define CPU_ARM_LINUX 2
#define CPU_ARM_FREEBSD 3
#define CPU_ARM_MACOS 4
#define CPU_ARM_WINDOWS 5

#if defined(__x86_64__)
#define CPU_READER CPU_X86
#elif !defined(__aarch64__) && !defined(__arm__)
#define CPU_READER CPU_UNKNOWN
#elif defined(__linux__)
#define CPU_READER CPU_ARM_LINUX
#elif defined(__FreeBSD__)
#define CPU_READER CPU_ARM_FREEBSD
#elif defined(__APPLE__)
#define CPU_READER CPU_ARM_MACOS
#elif defined(_WIN32)
#define CPU_READER CPU_ARM_WINDOWS
#else
#define CPU_READER CPU_UNKNOWN
#endif

#endif
