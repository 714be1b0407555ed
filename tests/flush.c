/* SPDX-License-Identifier: Apache-2.0 */
/* Sets flush-to-zero before main(), as the object that gcc links for -ffast-math does. */
#include <immintrin.h>

__attribute__((constructor)) static void set_flush(void)
{
    _mm_setcsr(_mm_getcsr() | 0x8040); /* FTZ and DAZ */
}
