/* SPDX-License-Identifier: Apache-2.0 */
/* Functions for bitdrop_parallel's run, which use threads in different ways. None needs a context.
 */
#ifndef BITDROP_TESTS_RUNS_H
#define BITDROP_TESTS_RUNS_H

#include <pthread.h>
#include <stddef.h>

typedef void runs_task(void *argument, size_t index);
typedef void runs_run(void *context, size_t tasks, runs_task *task, void *argument);

enum { RUNS_TASKS = 8 /* at most, by runs_at_once */ };

/* On the calling thread, the last task first. */
runs_run runs_backwards;

/* All on one new thread, while the calling thread only waits. */
runs_run runs_elsewhere;

/* Each on a new thread. */
runs_run runs_at_once;

/* Exits if there is no thread. */
pthread_t runs_start(void *(*function)(void *), void *argument);

#endif
