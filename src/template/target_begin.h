/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All functions from here to template/target_end.h are compiled for the instructions of an ISA,
 * whatever the compiler's flags are. A vec.h includes it after the system's headers, because their
 * functions must not change, with
 *
 *   TARGET  the instructions, as in __attribute__((target(TARGET)))
 *
 * which it undefines. It defines TARGET_BEGUN, for template/target_end.h.
 */
#ifndef TARGET
#error "define TARGET"
#endif

#define TARGET_PRAGMA_(pragma) _Pragma(#pragma)
#define TARGET_PRAGMA(pragma) TARGET_PRAGMA_(pragma)
#ifdef __clang__
TARGET_PRAGMA(clang attribute push(__attribute__((target(TARGET))), apply_to = function))
#else
#pragma GCC diagnostic ignored "-Wpsabi" /* no vector is passed to a file of another target */
#pragma GCC push_options
TARGET_PRAGMA(GCC target(TARGET))
#endif
#define TARGET_BEGUN
#undef TARGET_PRAGMA_
#undef TARGET_PRAGMA
#undef TARGET
