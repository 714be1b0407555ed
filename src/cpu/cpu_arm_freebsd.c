/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Written from FreeBSD's elf_aux_info(3), from 12.0 on, and its machine/elf.h, whose bits are
 * Linux's. Not run: there is no such machine here.
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
