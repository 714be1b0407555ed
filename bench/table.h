/* SPDX-License-Identifier: Apache-2.0 */
/* Prints results as a table. */
#ifndef BITDROP_BENCH_TABLE_H
#define BITDROP_BENCH_TABLE_H

#include "limit.h"

#define TABLE_SECONDS 0.25 /* for each side of a row; --quick then takes half a minute */

void table_header(void);
void table_row(const struct bench_case *c, struct timing t);

/* Measures and prints the cases of list_in_quick. `isas` is a set of ISAs, bit isa each. Returns
 * the set of those that had a case. */
unsigned table_quick(unsigned isas, double seconds);

#endif
