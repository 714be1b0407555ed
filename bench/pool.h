/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that wait for work, so that no measurement starts one. */
#ifndef BITDROP_BENCH_POOL_H
#define BITDROP_BENCH_POOL_H

enum { POOL_MAX = 256 };

typedef void pool_work(void *argument, unsigned thread);

/* Calls work(argument, i) for each i < threads <= POOL_MAX at the same time, 0 in the caller, and
 * returns when all have. Missing threads are started, and kept until the process ends. */
void pool_run(unsigned threads, pool_work *work, void *argument);

#endif
