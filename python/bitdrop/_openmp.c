/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bitdrop_parallel.run that uses the OpenMP threads of PyTorch, which is in the same process. It
 * calls the function that compilers call for "#pragma omp parallel". bitdrop.torch looks up that
 * function, so this file does not link with an OpenMP runtime.
 */
#include <bitdrop/bitdrop.h>
#include <fenv.h>
#include <stdatomic.h>
#include <stddef.h>

struct team { /* the context of run(); bitdrop.torch fills it */
    void (*parallel)(void (*function)(void *), void *argument, unsigned threads, unsigned flags);
    unsigned threads;
};

struct loop {
    void (*task)(void *argument, size_t index);
    void *argument;
    size_t tasks;
    _Atomic size_t next;
    /* Of the thread that called run(). Each task uses it: whether denormals are flushed to 0 must
     * not depend on the thread. */
    fenv_t caller;
};

/* Runs in each thread. It runs tasks until none is left, because the runtime may start fewer
 * threads than were requested. */
static void take_tasks(void *argument)
{
    struct loop *loop = argument;
    fenv_t own;
    size_t i;

    fegetenv(&own);
    fesetenv(&loop->caller);
    while ((i = atomic_fetch_add_explicit(&loop->next, 1, memory_order_relaxed)) < loop->tasks)
        loop->task(loop->argument, i);
    fesetenv(&own);
}

static void run(void *context, size_t tasks, void (*task)(void *argument, size_t index),
                void *argument)
{
    const struct team *team = context;
    struct loop loop = {.task = task, .argument = argument, .tasks = tasks};

    fegetenv(&loop.caller);
    /* Always request all threads: for a smaller team, libgomp would end the other threads. */
    team->parallel(take_tasks, &loop, team->threads, 0);
}

const bitdrop_parallel bitdrop_openmp = {.run = run}; /* bitdrop.torch reads run */

/* A use of libbitdrop, so that the linker does not drop an installed one. Python finds its
 * functions through this library. */
__attribute__((used)) static int (*const linked)(void) = bitdrop_version_number;
