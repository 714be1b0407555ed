/* SPDX-License-Identifier: Apache-2.0 */
/* What has to be known of this machine, and for which this program was compiled. */
#ifndef BITDROP_BENCH_MACHINE_H
#define BITDROP_BENCH_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t machine_last_level_cache(void); /* bytes; 0: not told */
uint64_t machine_memory(void);         /* bytes */
unsigned machine_cpus(void);
bool machine_has_avx512_bf16(void);
const char *machine_cpu_name(void);

/* Of this program. */
const char *machine_compiler(void);
const char *machine_target(void);

#endif
