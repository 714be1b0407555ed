/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All functions from here to template/target_end.h are compiled for the instructions of an ISA,
 * whatever the flags say. vec.h includes it behind the system's headers, whose functions are not
 * meant, and defines
 *
 *   TARGET  the instructions, as in __attribute__((target(TARGET)))
 */
#ifndef TARGET
#error "define TARGET"
#endif

#define TARGET_PRAGMA_(pragma) _Pragma(#pragma)
#define TARGET_PRAGMA(pragma) TARGET_PRAGMA_(pragma)
#ifdef __clang__
TARGET_PRAGMA(clang attribute push(__attribute__((target(TARGET))), apply_to = function))
#else
#pragma GCC diagnostic ignored "-Wpsabi" /* no vector crosses to files of other targets */
#pragma GCC push_options
TARGET_PRAGMA(GCC target(TARGET))
#endif
#define TARGET_BEGUN
#undef TARGET_PRAGMA_
#undef TARGET_PRAGMA
#undef TARGET
