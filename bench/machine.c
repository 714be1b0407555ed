/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Read from /sys: on AMD sysconf returns the sum of all last-level caches of the socket. */
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
    return largest << 10;
}

uint64_t machine_memory(void)
{
#ifdef _SC_PHYS_PAGES
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
#else
    return (uint64_t)1 << 30; /* unknown: assume 1 GiB */
#endif
}

unsigned machine_cpus(void)
{
#ifdef _SC_NPROCESSORS_ONLN
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
#else /* Windows */
    const char *number = getenv("NUMBER_OF_PROCESSORS");
    const long online = number != NULL ? strtol(number, NULL, 10) : 1;
#endif

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

/*
 * Where Linux names the CPU. On x86 the CPU has a name. Otherwise the board may have one, and an
 * ARM CPU has the numbers of its implementer and part. The last two keys are those of RISC-V and
 * s390x.
 */
static const struct {
    const char *file, *key, *label;
} name_sources[] = {
    {"/proc/cpuinfo", "model name", ""},    {"/proc/device-tree/model", "", ""},
    {"/proc/cpuinfo", "Hardware", ""},      {"/proc/cpuinfo", "CPU implementer", "implementer "},
    {"/proc/cpuinfo", "CPU part", "part "}, {"/proc/cpuinfo", "uarch", ""},
    {"/proc/cpuinfo", "processor 0", ""},
};

/* The text after the colon of the first line that starts with `key`, or NULL if there is none.
 * With an empty key the whole first line. */
static const char *value_of(const char *file, const char *key, char *line, int size)
{
    FILE *f = fopen(file, "r");
    const char *value = NULL;

    while (f != NULL && value == NULL && fgets(line, size, f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            value = *key == 0 ? line : strchr(line, ':');
    if (f != NULL)
        fclose(f);
    if (value == NULL)
        return NULL;
    line[strcspn(line, "\n")] = 0;
    return value + strspn(value, ": ");
}

const char *machine_cpu_name(void)
{
    static char name[256];
    const char *windows_name = getenv("PROCESSOR_IDENTIFIER");

    name[0] = 0;
    for (size_t i = 0; i < sizeof name_sources / sizeof *name_sources; i++) {
        char line[256];
        const char *value =
            value_of(name_sources[i].file, name_sources[i].key, line, (int)sizeof line);
        const size_t end = strlen(name);

        if (value != NULL && *value != 0)
            snprintf(name + end, sizeof name - end, "%s%s%s", end > 0 ? ", " : "",
                     name_sources[i].label, value);
    }
    if (name[0] != 0)
        return name;
    return windows_name != NULL ? windows_name : "unknown";
}

const char *machine_compiler(void) { return MACHINE_COMPILER; }

const char *machine_target(void) { return MACHINE_TARGET; }
