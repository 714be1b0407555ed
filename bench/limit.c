/* SPDX-License-Identifier: Apache-2.0 */
/* y = a * x, compiled once for each ISA with its flags and LIMIT: what any kernel is held against.
 */
#include <stddef.h>

void LIMIT(size_t n, float a, const float *restrict x, float *restrict y);

void LIMIT(size_t n, float a, const float *restrict x, float *restrict y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a * x[i];
}
