/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of this machine, and of this program's build. */
#ifndef BITDROP_BENCH_MACHINE_H
#define BITDROP_BENCH_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t machine_last_level_cache(void); /* bytes; 0: unknown */
uint64_t machine_memory(void);         /* bytes */
unsigned machine_cpus(void);
bool machine_has_avx512_bf16(void);
const char *machine_cpu_name(void);

/* Compiler and options, and target, of this program. */
const char *machine_compiler(void);
const char *machine_target(void);

#endif
