/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BITDROP_PARALLEL_H
#define BITDROP_PARALLEL_H

#include "kernels.h"

/*
 * Tasks have at least this many elements on average, for which the fastest kernels need 4 us. For
 * fewer elements, waking a thread costs more than it saves.
 */
enum { BITDROP_TASK_ELEMENTS = 1 << 15 };

/* The first unit of a task. All tasks have the same number of units, or one more. */
static inline size_t bitdrop_first_unit(size_t units, size_t tasks, size_t task)
{
    return units / tasks * task + smaller(units % tasks, task);
}

/* Runs a kernel on a job: in tasks, if parallel is not NULL and the elements are enough for two. */
void bitdrop_share_out(const struct bitdrop_job *job, bitdrop_kernel *kernel,
                       const bitdrop_parallel *parallel);

#endif
