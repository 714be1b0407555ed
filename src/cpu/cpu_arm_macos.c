/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows Apple's "Determining instruction set characteristics". Not tested: no such machine was at
 * hand.
 */
#include "cpu.h"
#include "readers.h"

#if CPU_READER == CPU_ARM_MACOS
#include <sys/sysctl.h>

/* 0 for a name that this version of the OS does not know. */
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
