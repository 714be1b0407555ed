/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows the manual page elf_aux_info(3), for FreeBSD 12.0 and later, and machine/elf.h, which has
 * the same bits as Linux. Not tested: no such machine was at hand.
 */
#include "cpu.h"
#include "readers.h"

#if CPU_READER == CPU_ARM_FREEBSD
#include <sys/auxv.h>

bitdrop_isa_set bitdrop_cpu_isas(void)
{
    unsigned long hwcap = 0; /* stays 0 on failure */

    elf_aux_info(AT_HWCAP, &hwcap, sizeof hwcap);
#ifdef __aarch64__
    return bitdrop_aarch64_isas(hwcap);
#else
    return bitdrop_armv7_isas(hwcap);
#endif
}
#endif
