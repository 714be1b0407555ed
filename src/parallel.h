/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BITDROP_PARALLEL_H
#define BITDROP_PARALLEL_H

#include "kernels.h"

/* Runs a kernel on a job, by the tasks of parallel if that is not NULL and the job is worth it. */
void bitdrop_share_out(const struct bitdrop_job *job, bitdrop_kernel *kernel,
                       const bitdrop_parallel *parallel);

#endif
