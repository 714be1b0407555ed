/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BITDROP_DISPATCH_H
#define BITDROP_DISPATCH_H

#include "kernels.h"

/*
 * The kernels of an ISA, or for AUTO of the one that BITDROP_ISA names, or else the best for so
 * many elements. NULL if the ISA is unknown, not built in, or not run by this CPU.
 */
const struct bitdrop_kernels *bitdrop_kernels_for(unsigned isa, size_t rows, size_t cols);

/* Bytes read and written from which STORES_AUTO streams on this machine. */
size_t bitdrop_streaming_bytes(void);

/* Whether this machine is faster if it is told which lines come next. */
bool bitdrop_prefetches(void);

#endif
