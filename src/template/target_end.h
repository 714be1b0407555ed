/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends the target that template/target_begin.h began, if a vec.h has included that. Included after
 * the last function that uses the vec.h.
 */
#ifdef TARGET_BEGUN
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef TARGET_BEGUN
#endif
