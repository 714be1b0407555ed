/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "machine.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of Linux's table rather than of sysconf, which tells the sum over the socket on AMD. */
size_t machine_last_level_cache(void)
{
    size_t largest = 0;

    for (int index = 0; index < 8; index++) {
        char path[80];
        size_t kib = 0;
        FILE *f = NULL;

        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", index);
        f = fopen(path, "r");
        if (f == NULL)
            break;
        if (fscanf(f, "%zuK", &kib) == 1 && kib > largest)
            largest = kib;
        fclose(f);
    }
    return largest > 0 ? largest << 10 : (size_t)32 << 20; /* not told: a common size */
}

size_t machine_memory(void)
{
    return (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
}

unsigned machine_cpus(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);

    return online > 0 ? (unsigned)online : 1;
}

bool machine_has_avx512_bf16(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

const char *machine_cpu_name(void)
{
    static char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    const char *name = NULL;

    while (f != NULL && name == NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL)
            name = strchr(line, ':') + 2;
    if (f != NULL)
        fclose(f);
    line[strcspn(line, "\n")] = 0;
    return name != NULL ? name : "unknown";
}
