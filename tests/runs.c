/* SPDX-License-Identifier: Apache-2.0 */
#include "runs.h"

#include <stdio.h>
#include <stdlib.h>

/* Successive tasks of one call. */
struct share {
    runs_task *task;
    void *argument;
    size_t begin, end;
};

static void *run_share(void *share)
{
    const struct share *s = share;

    for (size_t i = s->begin; i < s->end; i++)
        s->task(s->argument, i);
    return NULL;
}

pthread_t runs_start(void *(*function)(void *), void *argument)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, function, argument) != 0) {
        perror("pthread_create");
        exit(2);
    }
    return thread;
}

void runs_backwards(void *context, size_t tasks, runs_task *task, void *argument)
{
    (void)context;
    while (tasks-- > 0)
        task(argument, tasks);
}

void runs_elsewhere(void *context, size_t tasks, runs_task *task, void *argument)
{
    struct share all = {task, argument, 0, tasks};

    (void)context;
    pthread_join(runs_start(run_share, &all), NULL);
}

void runs_at_once(void *context, size_t tasks, runs_task *task, void *argument)
{
    struct share share[RUNS_TASKS];
    pthread_t thread[RUNS_TASKS];

    (void)context;
    for (size_t i = 0; i < tasks; i++) {
        share[i] = (struct share){task, argument, i, i + 1};
        thread[i] = runs_start(run_share, &share[i]);
    }
    for (size_t i = 0; i < tasks; i++)
        pthread_join(thread[i], NULL);
}
