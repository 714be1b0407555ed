/* SPDX-License-Identifier: Apache-2.0 */
/* Where nobody has said yet how feature words are read. */
#include "cpu.h"

bitdrop_isa_set bitdrop_cpu_isas(void) { return 1 << BITDROP_ISA_SCALAR; }
