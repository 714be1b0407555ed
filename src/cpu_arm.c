/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/auxv.h>

#include "cpu.h"

bitdrop_isa_set bitdrop_cpu_isas(void) { return bitdrop_aarch64_isas(getauxval(AT_HWCAP)); }
