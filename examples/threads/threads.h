/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function for bitdrop_parallel.run, by which an engine runs tasks on its own threads.
 * pthreads.c, openmp.c and execution.cc each define it.
 */
#ifndef THREADS_H
#define THREADS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void task_function(void *argument, size_t index);

/* Calls task(argument, i) once for each i < tasks. Returns when all calls have returned. */
void run_tasks(void *context, size_t tasks, task_function *task, void *argument);

#ifdef __cplusplus
}
#endif

#endif
