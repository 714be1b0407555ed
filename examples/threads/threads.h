/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an engine gives to bitdrop_parallel.run, made of its own threads: pthreads.c, openmp.c and
 * execution.cc are three of them.
 */
#ifndef THREADS_H
#define THREADS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void task_function(void *argument, size_t index);

/* Calls task(argument, i) once for each i below tasks, and returns when all of these have. */
void run_tasks(void *context, size_t tasks, task_function *task, void *argument);

#ifdef __cplusplus
}
#endif

#endif
