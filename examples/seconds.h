/* SPDX-License-Identifier: Apache-2.0 */
/* The time by a clock that never goes back. Needs _POSIX_C_SOURCE. */
#ifndef SECONDS_H
#define SECONDS_H

#include <time.h>

static inline double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
