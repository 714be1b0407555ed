/* SPDX-License-Identifier: Apache-2.0 */
/* Behind the last function that uses a vec.h: ends what target_begin.h began, if it did. */
#ifdef TARGET_BEGUN
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef TARGET_BEGUN
#endif
