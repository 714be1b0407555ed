/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BITDROP_PARALLEL_H
#define BITDROP_PARALLEL_H

#include "kernels.h"

/* Below so many elements, 4 us by the fastest kernels, waking a thread costs more than it saves. */
enum { BITDROP_TASK_ELEMENTS = 1 << 15 };

/* The unit at which a task begins: all have as many, or one more. */
static inline size_t bitdrop_first_unit(size_t units, size_t tasks, size_t task)
{
    return units / tasks * task + smaller(units % tasks, task);
}

/* Runs a kernel on a job, by the tasks of parallel if that is not NULL and the job is worth it. */
void bitdrop_share_out(const struct bitdrop_job *job, bitdrop_kernel *kernel,
                       const bitdrop_parallel *parallel);

#endif
