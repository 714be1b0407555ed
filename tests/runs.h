/* SPDX-License-Identifier: Apache-2.0 */
/* Callbacks for bitdrop_parallel that use threads in different ways. None needs a context. */
#ifndef BITDROP_TESTS_RUNS_H
#define BITDROP_TESTS_RUNS_H

#include <pthread.h>
#include <stddef.h>

typedef void runs_task(void *argument, size_t index);
typedef void runs_run(void *context, size_t tasks, runs_task *task, void *argument);

enum { RUNS_TASKS = 8 /* the most tasks of runs_at_once */ };

/* Runs the tasks on the calling thread, the last one first. */
runs_run runs_backwards;

/* Runs all tasks on one new thread, while the calling thread waits. */
runs_run runs_elsewhere;

/* Runs each task on a new thread. */
runs_run runs_at_once;

/* Starts a thread. Exits if that is not possible. */
pthread_t runs_start(void *(*function)(void *), void *argument);

#endif
