/* SPDX-License-Identifier: Apache-2.0 */
/* Results as text. */
#ifndef BITDROP_BENCH_TABLE_H
#define BITDROP_BENCH_TABLE_H

#include "limit.h"

void table_header(void);
void table_row(const struct bench_case *c, struct timing t);

#endif
