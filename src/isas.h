/* SPDX-License-Identifier: Apache-2.0 */
/* The ISAs and their tables of kernels. have.h says which tables are compiled. */
#ifndef BITDROP_ISAS_H
#define BITDROP_ISAS_H

#include "cpu/cpu.h"
#include "have.h"
#include "kernels.h"

/* X(name, NAME): BITDROP_ISA_<NAME> has the name <name>. The order is that of bitdrop_isa. */
#define BITDROP_ISAS(X) X(scalar, SCALAR) X(avx2, AVX2) X(avx512, AVX512) X(neon, NEON)

#define BITDROP_ISA_ONE(name, NAME) +1
enum { BITDROP_ISA_COUNT = 1 BITDROP_ISAS(BITDROP_ISA_ONE) }; /* with AUTO */

/*
 * X(table, HAVE, ISA, extensions): bitdrop_kernels_<table> runs on CPUs that have BITDROP_ISA_<ISA>
 * and the bits `extensions` of bitdrop_isa_set. The best table comes first.
 */
#define BITDROP_TABLES(X)                                                                          \
    X(avx512_bf16, BITDROP_HAVE_AVX512_BF16, AVX512, UINT32_C(1) << BITDROP_AVX512_BF16)           \
    X(avx512, BITDROP_HAVE_AVX512, AVX512, 0)                                                      \
    X(avx2, BITDROP_HAVE_AVX2, AVX2, 0)                                                            \
    X(neon, BITDROP_HAVE_NEON, NEON, 0)                                                            \
    X(scalar, 1, SCALAR, 0)

/* BITDROP_IF(have, ...) expands to the arguments after `have` if that is 1, else to nothing. */
#define BITDROP_IF_0(...)
#define BITDROP_IF_1(...) __VA_ARGS__
#define BITDROP_IF__(have) BITDROP_IF_##have
#define BITDROP_IF_(have) BITDROP_IF__(have)
#define BITDROP_IF(have, ...) BITDROP_IF_(have)(__VA_ARGS__)

#define BITDROP_TABLE_DECLARATION(table, have, isa, extensions)                                    \
    extern const struct bitdrop_kernels bitdrop_kernels_##table;
BITDROP_TABLES(BITDROP_TABLE_DECLARATION)

#endif
