/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Written from Apple's "Determining instruction set characteristics". Not run: there is no such
 * machine here.
 */
#include "cpu.h"
#include "readers.h"

#if CPU_READER == CPU_ARM_MACOS
#include <sys/sysctl.h>

/* A name that this version of the OS does not know counts as 0. */
static int sysctl_flag(const char *name)
{
    int flag = 0;
    size_t size = sizeof flag;

    return sysctlbyname(name, &flag, &size, NULL, 0) == 0 && flag != 0;
}

bitdrop_isa_set bitdrop_cpu_isas(void)
{
    return bitdrop_arm_isas(sysctl_flag("hw.optional.AdvSIMD") ||
                            sysctl_flag("hw.optional.neon") /* the name before macOS 12 */);
}
#endif
