/* SPDX-License-Identifier: Apache-2.0 */
/* run_tasks by OpenMP, on the team of threads that the engine's other loops use. */
#include "threads.h"

void run_tasks(void *context, size_t tasks, task_function *task, void *argument)
{
    (void)context;
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < tasks; i++)
        task(argument, i);
}
