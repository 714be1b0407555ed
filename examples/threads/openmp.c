/* SPDX-License-Identifier: Apache-2.0 */
/* By OpenMP: the team that the engine's other loops use. */
#include "threads.h"

void run_tasks(void *context, size_t tasks, task_function *task, void *argument)
{
    (void)context;
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < tasks; i++)
        task(argument, i);
}
