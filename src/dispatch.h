/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BITDROP_DISPATCH_H
#define BITDROP_DISPATCH_H

#include "cpu/cpu.h"
#include "kernels.h"

/*
 * The kernels of an ISA. For BITDROP_ISA_AUTO, those of the ISA that the variable BITDROP_ISA
 * names, or else the best for rows x cols elements. NULL if the ISA is unknown, not built in, or
 * not supported by this CPU.
 */
const struct bitdrop_kernels *bitdrop_kernels_for(unsigned isa, size_t rows, size_t cols);

/* The same for a CPU with these ISAs and this tuning. The variable BITDROP_ISA is not read. */
const struct bitdrop_kernels *bitdrop_kernels_of(bitdrop_isa_set isas,
                                                 const struct bitdrop_tuning *tuning, unsigned isa,
                                                 size_t rows, size_t cols);

/* STORES_AUTO streams on this machine if a call reads and writes at least this many bytes. */
size_t bitdrop_streaming_bytes(void);

/* The tuning of this machine, or what bitdrop_set_tuning has set: programs that measure call it. */
const struct bitdrop_tuning *bitdrop_tuning(void);
void bitdrop_set_tuning(const struct bitdrop_tuning *tuning);

#endif
