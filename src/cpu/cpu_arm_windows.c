/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows Microsoft's documentation of IsProcessorFeaturePresent. Not tested: no such machine was
 * at hand.
 */
#include "cpu.h"
#include "readers.h"

#if CPU_READER == CPU_ARM_WINDOWS
#include <windows.h>

bitdrop_isa_set bitdrop_cpu_isas(void)
{
    return bitdrop_arm_isas(IsProcessorFeaturePresent(PF_ARM_NEON_INSTRUCTIONS_AVAILABLE));
}
#endif
