/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BITDROP_DISPATCH_H
#define BITDROP_DISPATCH_H

#include "cpu/cpu.h"
#include "kernels.h"

/*
 * The kernels of an ISA, or for AUTO of the one that BITDROP_ISA names, or else the best for so
 * many elements. NULL if the ISA is unknown, not built in, or not run by this CPU.
 */
const struct bitdrop_kernels *bitdrop_kernels_for(unsigned isa, size_t rows, size_t cols);

/* The same on a CPU with these ISAs and this tuning. BITDROP_ISA is not read. */
const struct bitdrop_kernels *bitdrop_kernels_of(bitdrop_isa_set isas,
                                                 const struct bitdrop_tuning *tuning, unsigned isa,
                                                 size_t rows, size_t cols);

/* Bytes read and written from which STORES_AUTO streams on this machine. */
size_t bitdrop_streaming_bytes(void);

/* What is fastest on this machine; or what it was told, by a program that measures it. */
const struct bitdrop_tuning *bitdrop_tuning(void);
void bitdrop_set_tuning(const struct bitdrop_tuning *tuning);

#endif
