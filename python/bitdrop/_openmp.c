/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bitdrop_parallel.run on the OpenMP threads of an engine that is in the process already, by the
 * entry point that compilers call for "#pragma omp parallel". Nothing is linked: Python finds it.
 */
#include <bitdrop/bitdrop.h>
#include <fenv.h>
#include <stdatomic.h>
#include <stddef.h>

struct team { /* the context; bitdrop.torch fills it */
    void (*parallel)(void (*function)(void *), void *argument, unsigned threads, unsigned flags);
    unsigned threads;
};

struct loop {
    void (*task)(void *argument, size_t index);
    void *argument;
    size_t tasks;
    _Atomic size_t next;
    fenv_t caller; /* whether denormals are flushed, which must not depend on who takes a task */
};

/* Each thread takes tasks while there are any, for the team may be smaller than was asked. */
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
    /* Always the whole team: libgomp ends the threads that a smaller one leaves over. */
    team->parallel(take_tasks, &loop, team->threads, 0);
}

const bitdrop_parallel bitdrop_openmp = {.run = run}; /* bitdrop.torch adds the rest */

/* So that the linker keeps an installed libbitdrop, whose functions Python finds through this one.
 */
__attribute__((used)) static int (*const linked)(void) = bitdrop_version_number;
