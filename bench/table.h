/* SPDX-License-Identifier: Apache-2.0 */
/* Results as text. */
#ifndef BITDROP_BENCH_TABLE_H
#define BITDROP_BENCH_TABLE_H

#include "limit.h"

#define TABLE_SECONDS 0.25 /* for each side of a row: the quick table takes half a minute */

void table_header(void);
void table_row(const struct bench_case *c, struct timing t);

/* Times the cases of list_in_quick of a set of ISAs, bit isa each, and prints them; returns the set
 * of those that there were cases of. */
unsigned table_quick(unsigned isas, double seconds);

#endif
