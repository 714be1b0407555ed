/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BITDROP_BENCH_TUNE_H
#define BITDROP_BENCH_TUNE_H

/*
 * Tries the choices of a struct bitdrop_tuning on this CPU, for `seconds` each, and prints what it
 * found and the line for the table in src/cpu/tuning.c. Returns 0, or 1 where there is no table.
 */
int tune_run(double seconds);

#endif
