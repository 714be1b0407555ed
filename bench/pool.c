/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "pool.h"

#include <pthread.h>
#include <stdint.h>

#include "fail.h"

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t posted, finished;
    unsigned started;     /* threads, without the caller of pool_run */
    unsigned long job;    /* number of the latest job */
    unsigned wanted;      /* threads of this job, with the caller */
    unsigned outstanding; /* started threads that have not finished this job */
    pool_work *work;
    void *argument;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER,
          .posted = PTHREAD_COND_INITIALIZER,
          .finished = PTHREAD_COND_INITIALIZER};

static void *worker(void *argument)
{
    const unsigned thread = (unsigned)(uintptr_t)argument;
    unsigned long done = 0;

    pthread_mutex_lock(&pool.mutex);
    for (;;) {
        while (pool.job == done || thread >= pool.wanted)
            pthread_cond_wait(&pool.posted, &pool.mutex);
        done = pool.job;
        pthread_mutex_unlock(&pool.mutex);
        pool.work(pool.argument, thread);
        pthread_mutex_lock(&pool.mutex);
        if (--pool.outstanding == 0)
            pthread_cond_signal(&pool.finished);
    }
    return NULL;
}

static void start(unsigned threads)
{
    while (pool.started + 1 < threads) {
        pthread_t id;

        pool.started++;
        if (pthread_create(&id, NULL, worker, (void *)(uintptr_t)pool.started) != 0)
            fail("cannot start a thread");
        pthread_detach(id);
    }
}

void pool_run(unsigned threads, pool_work *work, void *argument)
{
    if (threads > 1) {
        start(threads);
        pthread_mutex_lock(&pool.mutex);
        pool.job++;
        pool.wanted = threads;
        pool.outstanding = threads - 1;
        pool.work = work;
        pool.argument = argument;
        pthread_cond_broadcast(&pool.posted);
        pthread_mutex_unlock(&pool.mutex);
    }
    work(argument, 0);
    if (threads > 1) {
        pthread_mutex_lock(&pool.mutex);
        while (pool.outstanding > 0)
            pthread_cond_wait(&pool.finished, &pool.mutex);
        pthread_mutex_unlock(&pool.mutex);
    }
}
