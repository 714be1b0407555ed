/* SPDX-License-Identifier: Apache-2.0 */
/* For systems whose feature words no other file reads: only scalar runs. */
#include "cpu.h"
#include "readers.h"

#if CPU_READER == CPU_UNKNOWN
bitdrop_isa_set bitdrop_cpu_isas(void) { return 1 << BITDROP_ISA_SCALAR; }
#endif
