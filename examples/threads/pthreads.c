/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_tasks by a pool of pthreads that lives until the program ends. The thread that calls
 * run_tasks works too, so a pool of three threads runs four tasks at once. Calls from several
 * threads wait for one another.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "threads.h"

enum { THREADS = 3 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    task_function *task;
    void *argument;
    size_t next, tasks; /* index of the next task, and number of tasks */
    size_t unfinished;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .work = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER};

/* Runs tasks until none are left. The caller holds the lock. It is released during each task. */
static void work(void)
{
    while (pool.next < pool.tasks) {
        const size_t index = pool.next++;

        pthread_mutex_unlock(&pool.lock);
        pool.task(pool.argument, index);
        pthread_mutex_lock(&pool.lock);
        if (--pool.unfinished == 0)
            pthread_cond_signal(&pool.done);
    }
}

static void *worker(void *unused)
{
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        work();
        pthread_cond_wait(&pool.work, &pool.lock);
    }
    return unused;
}

static void start_pool(void)
{
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, worker, NULL) != 0) {
            perror("pthread_create");
            exit(1);
        }
        pthread_detach(thread);
    }
}

void run_tasks(void *context, size_t tasks, task_function *task, void *argument)
{
    static pthread_once_t started = PTHREAD_ONCE_INIT;
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

    (void)context;
    pthread_once(&started, start_pool);
    pthread_mutex_lock(&one_at_a_time);
    pthread_mutex_lock(&pool.lock);
    pool.task = task;
    pool.argument = argument;
    pool.next = 0;
    pool.tasks = pool.unfinished = tasks;
    pthread_cond_broadcast(&pool.work);
    work();
    while (pool.unfinished > 0)
        pthread_cond_wait(&pool.done, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
    pthread_mutex_unlock(&one_at_a_time);
}
