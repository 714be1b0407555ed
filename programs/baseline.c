/* SPDX-License-Identifier: Apache-2.0 */
#include "baseline.h"

#include <stddef.h>
#include <stdio.h>

#if defined(__linux__) && !defined(__x86_64__) && !defined(__i386__)
#include <sys/auxv.h>

#define hwcap(bit) ((getauxval(AT_HWCAP) & 1UL << (bit)) != 0)
#define hwcap2(bit) ((getauxval(AT_HWCAP2) & 1UL << (bit)) != 0)

#ifdef __arm__
/* AT_PLATFORM is "v7l", for example. If it is missing, this assumes a new CPU. */
static int arm_version(void)
{
    const char *platform = (const char *)getauxval(AT_PLATFORM);

    return platform != NULL && platform[0] == 'v' ? platform[1] - '0' : 9;
}
#endif
#endif

#define NAME(name, used, has) #name,
#define HAS(name, used, has) (has) != 0,

bool baseline_holds(uint32_t used)
{
    static const char *const names[] = {BASELINE(NAME) NULL};
    const bool has[] = {BASELINE(HAS) true};
    bool holds = true;

    for (size_t i = 0; names[i] != NULL; i++)
        if (used >> i & 1 && !has[i]) {
            fprintf(stderr, "%s %s",
                    holds ? "bitdrop-selftest: this program was compiled for CPUs with" : ",",
                    names[i]);
            holds = false;
        }
    if (!holds)
        fputs(", which this CPU lacks: compile it with the -march= of this CPU\n", stderr);
    return holds;
}
