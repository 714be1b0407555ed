/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that wait for work, so that no measurement has to start one. */
#ifndef BITDROP_BENCH_POOL_H
#define BITDROP_BENCH_POOL_H

enum { POOL_MAX = 256 };

typedef void pool_work(void *argument, unsigned thread);

/*
 * Calls work(argument, i) for each i < threads at the same time, i = 0 in the calling thread.
 * Returns when all calls have returned. threads <= POOL_MAX. Starts missing threads, and keeps them
 * until the process ends.
 */
void pool_run(unsigned threads, pool_work *work, void *argument);

#endif
