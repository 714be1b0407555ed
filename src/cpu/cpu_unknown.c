/* SPDX-License-Identifier: Apache-2.0 */
/* Where nobody has said yet how feature words are read. */
#include "cpu.h"
#include "readers.h"

#if CPU_READER == CPU_UNKNOWN
bitdrop_isa_set bitdrop_cpu_isas(void) { return 1 << BITDROP_ISA_SCALAR; }
#endif
