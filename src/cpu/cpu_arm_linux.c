/* SPDX-License-Identifier: Apache-2.0 */
/* Also for Android: its C library has getauxval from API 18 on. Tested under QEMU. */
#include "cpu.h"
#include "readers.h"

#if CPU_READER == CPU_ARM_LINUX
#include <sys/auxv.h>

bitdrop_isa_set bitdrop_cpu_isas(void)
{
    const unsigned long hwcap = getauxval(AT_HWCAP);

#ifdef __aarch64__
    return bitdrop_aarch64_isas(hwcap);
#else
    return bitdrop_armv7_isas(hwcap);
#endif
}
#endif
